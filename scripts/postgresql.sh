#!/usr/bin/env bash
# Finds PostgreSQL $PG, or builds it from Debian's source package, and prints the path of its pg_config.
# With --find it only looks, and fails if there is none. scripts/packages.sh installs binary packages before.
source "$(dirname "$0")/common.sh"

prefix=$VALIDATOR_CACHE/postgresql-$PG
build=$prefix.build

main() {
    find_postgresql && return
    [[ ${1:-} == --find ]] && exit 1
    one_at_a_time
    find_postgresql && return # another make has built it meanwhile
    build_postgresql
    find_postgresql
}

find_postgresql() {
    local candidate
    if [[ -n ${PG_CONFIG:-} ]]; then
        candidate=$(type -P "$PG_CONFIG" || true)
        builds_modules "$candidate" ||
            die "PG_CONFIG=$PG_CONFIG is not the pg_config of a PostgreSQL $PG with server headers"
        realpath --no-symlinks "$candidate"
        return
    fi
    for candidate in "/usr/lib/postgresql/$PG/bin/pg_config" "$(type -P pg_config)" "$prefix/bin/pg_config"; do
        if builds_modules "$candidate" && runs_tests "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

builds_modules() {
    [[ -x $1 && "$("$1" --version) " =~ ^PostgreSQL\ ${PG}[^0-9] && -e $("$1" --includedir-server)/postgres.h ]]
}

# A server, and a psql that can run the OAuth device flow: libpq loads that from a library of its own.
runs_tests() {
    [[ -x $("$1" --bindir)/postgres && -x $("$1" --bindir)/psql && -e $("$1" --libdir)/libpq-oauth-$PG.so ]]
}

build_postgresql() {
    [[ $PG == 18 ]] || die "no PostgreSQL $PG with server headers found: give PG_CONFIG=/path/to/pg_config"
    mirror=$(debian_mirror || true)
    [[ -n $mirror ]] || die "PostgreSQL $PG: neither installed, nor offered by apt, nor is there a Debian mirror in apt's" \
        "configuration to get its source from. Install it and give PG_CONFIG=/path/to/pg_config"
    rm -rf "$build"
    mkdir -p "$build"/{lists/partial,cache,download,source,staged}
    cd "$build"
    step "PostgreSQL $PG: downloading Debian's source package" download_source
    step "PostgreSQL $PG: unpacking" tar --extract --file download/*.orig.tar.* --directory source --strip-components 1 --no-same-owner
    cd source
    step "PostgreSQL $PG: configuring (about 30 seconds)" ./configure --prefix="$prefix" --with-openssl --with-libcurl --without-icu
    step "PostgreSQL $PG: compiling (about 3 minutes)" make -j"$(nproc)" world-bin
    step "PostgreSQL $PG: installing into $prefix" make DESTDIR="$build/staged" install-world-bin
    rm -rf "$prefix"
    mv "$build/staged$prefix" "$prefix" # the last step: a prefix that is there is complete
    cd "$VALIDATOR_CACHE"
    rm -rf "$build"
}

# Where this machine gets Debian's packages from, by its own configuration.
debian_mirror() {
    # shellcheck disable=SC2016 # apt-get expands these
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null | sed -n 's/^Debian //p' | sort -u | head -n 1
}

# apt checks the signature of the suite, and by it the source; it uses lists of its own, so that the machine's stay as they are.
download_source() {
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >sources.list
    local options=(
        -o "Dir::Etc::sourcelist=$build/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$build/lists" -o "Dir::Cache=$build/cache"
        -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false
        -o Acquire::Retries=3 -o APT::Update::Error-Mode=any
    )
    apt-get "${options[@]}" update && (cd download && apt-get "${options[@]}" source --download-only "postgresql-$PG")
}

main "$@"
