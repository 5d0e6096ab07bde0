#!/usr/bin/env bash
# Installs what is missing of this machine's packages for the given purposes: module, fuzz, postgresql, python,
# packages, package-check, lint, valgrind, browser, bare-root, java, drivers.
# Without the right to do so, it prints the one line that an administrator has to run.
source "$(dirname "$0")/common.sh"

scripts=$(dirname "$0")

main() {
    type -P apt-get dpkg-query >/dev/null || return 0 # another system: its user has to provide for the tools
    local missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]} > 0)) || return 0
    if ((EUID != 0)); then
        say "Packages are missing. An administrator has to run this, then start make again:"
        die "    apt-get install --no-install-recommends ${missing[*]}"
    fi
    one_at_a_time
    step "packages: reading the lists" update_lists
    mapfile -t missing < <(missing_packages "$@") # what apt offers may be known only now
    step "packages: installing ${missing[*]}" install_packages "${missing[@]}"
}

missing_packages() {
    wanted_packages "$@" | sort -u | while read -r package; do
        [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done
}

wanted_packages() {
    local purpose
    for purpose; do
        case $purpose in
        module)
            printf '%s\n' gcc libc6-dev pkg-config libclang-dev # bindgen needs libclang
            type -P cargo >/dev/null || ! offered rustup || echo rustup
            ;;
        postgresql) postgresql_packages ;;
        # What Debian takes out of Python's own distribution.
        python) python3 -c 'import ensurepip, venv' 2>/dev/null || printf '%s\n' python3 python3-venv ;;
        packages) printf '%s\n' binutils jq umoci && wanted_packages python ;; # python: for a tool chain that pip brings
        package-check) printf '%s\n' cpio lintian rpm rpm2cpio zstd ;;
        lint) printf '%s\n' shellcheck python3 ;;
        valgrind) echo valgrind ;;
        browser) printf '%s\n' chromium chromium-driver ;;
        bare-root) printf '%s\n' debootstrap git ;;
        drivers) printf '%s\n' libssl-dev pkg-config && wanted_packages java python ;;
        java)
            type -P java >/dev/null || echo default-jre-headless
            type -P mvn >/dev/null || echo maven
            ;;
        fuzz) echo g++ ;; # libFuzzer is C++
        esac
    done
}

postgresql_packages() {
    local found options
    if found=$("$scripts/postgresql.sh" --find 2>/dev/null); then
        # The headers of a server with OpenSSL, GSSAPI and ICU (the default) include theirs.
        options=$("$found" --configure)
        [[ $options != *--with-openssl* ]] || echo libssl-dev
        [[ $options != *--with-gssapi* ]] || echo libkrb5-dev
        [[ $options == *--without-icu* ]] || echo libicu-dev
    elif [[ -n ${PG_CONFIG:-} ]]; then
        return # postgresql.sh will say what is wrong with it
    elif [[ -n ${CASSERT:-}${PG_SOURCE:-} ]]; then
        printf '%s\n' gcc libc6-dev make bison flex perl bzip2 pkg-config ca-certificates \
            libreadline-dev zlib1g-dev libssl-dev libcurl4-openssl-dev
    elif [[ $PG == 16 ]]; then
        wanted_packages python
    elif offered "postgresql-$PG" && offered libpq-oauth; then
        printf '%s\n' "postgresql-$PG" "postgresql-server-dev-$PG" libpq-oauth libssl-dev libkrb5-dev libicu-dev
    else # of what postgresql.sh unpacks
        printf '%s\n' ca-certificates tzdata libssl-dev libkrb5-dev libicu-dev
    fi
}

offered() { [[ $(apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ [0-9] ]]; }

update_lists() { apt-get update || true; } # a third party's broken repository need not stop us: installing decides

install_packages() {
    # The tests start servers of their own: keep Debian's package from starting one on this machine.
    no_cluster=/etc/postgresql-common/createcluster.d/validator-build.conf
    if [[ " $* " == *" postgresql-$PG "* ]]; then
        trap 'rm -f "$no_cluster"' EXIT
        mkdir -p "$(dirname "$no_cluster")"
        echo 'create_main_cluster = false' >"$no_cluster"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 \
        install --yes --no-install-recommends --no-remove "$@"
}

main "$@"
