#!/usr/bin/env bash
# Rewrites hot_functions.ld: what a warm login executes, by valgrind's callgrind. To be run by hand, from the checkout's
# folder, after changes to the way of a login: `make hot-functions`.
source "$(dirname "$0")/common.sh"

type -P valgrind >/dev/null || die "valgrind is needed"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
bindir=$("$PG_CONFIG" --bindir)

# A PostgreSQL whose server runs under callgrind.
mkdir "$work/bin"
ln -s "$bindir"/* "$work/bin"
rm "$work/bin/postgres" "$work/bin/pg_config"
cat >"$work/bin/pg_config" <<END
#!/bin/sh
[ "\$1" = --bindir ] && echo "$work/bin" || exec "$PG_CONFIG" "\$@"
END
cat >"$work/bin/postgres" <<END
#!/bin/sh
case " \$* " in
*" -D "*) exec valgrind -q --tool=callgrind --demangle=no --callgrind-out-file="\$PROFILES/%p" "$bindir/postgres" "\$@" ;;
*) exec "$bindir/postgres" "\$@" ;;
esac
END
chmod 755 "$work"/bin/{pg_config,postgres}

# functions ALGORITHM: the module's functions that warm logins with it execute.
functions() {
    export PROFILES=$work/$1
    mkdir -m 777 "$PROFILES"
    PG_CONFIG=$work/bin/pg_config ONLY="$1 on demand" LOGINS=2 ROUND=1 CLIENTS=1 COLD=0 SESSIONS=0 target/bench-tool/bench >>"$log" 2>&1
    local profile
    for profile in "$PROFILES"/*; do
        grep -q 4ureq "$profile" && continue # a login that fetched
        # Callgrind writes a name once, and refers to it by its number from then on. It knows the library of only some of the
        # functions; of the others it says "???".
        awk -F '[()]' '
            /^c?ob=/ { if ($3 != "") object[$2] = $3; if (/^ob/) current = object[$2] }
            /^c?fn=/ { if ($3 != "") name[$2] = $3; if (/^fn/ && current ~ /(validator\.so|\?\?\?)$/) print substr(name[$2], 2) }
        ' "$profile"
    done | sed -E "s/'[0-9]+\$//" | sort -u
}

# Names as patterns that outlast a new compilation. Left out are labels of assembly, which come with their files.
patterns() {
    sed -E 's/\.[0-9]+$/.*/; s/17h[0-9a-f]{16}E/17h*E/; s/^aws_lc_[0-9]+_[0-9]+_[0-9]+_/aws_lc_*_/; s/Cs[0-9A-Za-z]+_/Cs*_/g; s/\$/?/g' |
        grep -vE '^(0x|Ledwards|Lp256|Lecp)' | sort -u |
        sed 's/.*/        *(.text.& .text.unlikely.&)/'
}

section() {
    printf '        /* %s */\n' "$1"
    patterns
    printf "        *%s*.o(.text)\n" "${@:2}"
}

for alg in RS256 ES256 EdDSA; do
    say "$alg ..."
    functions "$alg" >"$work/$alg.functions"
done
cd "$work"
comm -12 RS256.functions ES256.functions | comm -12 - EdDSA.functions >every
{
    sed -n '1,/\*\//p' "$OLDPWD/hot_functions.ld"
    printf 'SECTIONS\n{\n    .text.hot_path : {\n'
    section "every login" -sha256-x86_64 <every
    printf '        *(.text.startup.* .text.exit.*)\n'
    comm -23 RS256.functions every | section RS256 -x86_64-mont -x86_64-mont5
    comm -23 ES256.functions every | section ES256 -p256-x86_64-asm -p256_beeu-x86_64-asm
    comm -23 EdDSA.functions every | section EdDSA -edwards25519_scalarmuldouble -edwards25519_decode -sha512-x86_64
    printf '    }\n}\nINSERT BEFORE .text;\n'
} >hot_functions.ld
mv hot_functions.ld "$OLDPWD"
cd "$OLDPWD"
python3 -B scripts/hot-functions-check.py --prune
