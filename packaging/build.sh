#!/usr/bin/env bash
# Packages the module that `make build` has built, and the program of `make hook`. `make package` and `make image` start this:
#
#     build.sh package|image LIBRARY POSTGRESQL-MAJOR-VERSION FOLDER [HOOK]
#
# nfpm makes the Debian package, the RPM and Arch's package, umoci the OCI image, cargo-cyclonedx the bill of materials, and
# cargo-about the text of the licences. The same commit, tool chain and machine make the same files, byte for byte.
source "$(dirname "$0")/../scripts/common.sh"

what=$1 LIBRARY=$(realpath "$2") MAJOR=$3 folder=$(realpath --canonicalize-missing "$4")
HOOK=${5:+$(realpath "$5")}
cd "$(dirname "$0")/.."

VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
MAINTAINER=${MAINTAINER:-validator maintainers <maintainers@validator.invalid>}
PAM_LIBRARY=$PWD/target/release/libpam_validator.so
export LIBRARY PAM_LIBRARY HOOK MAJOR VERSION MAINTAINER
# Of the last commit, so that the same commit makes the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)}
export SOURCE_DATE_EPOCH
created=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
case $(uname -m) in # as Go, Debian and the OCI name it
x86_64) ARCHITECTURE=amd64 ;;
aarch64) ARCHITECTURE=arm64 ;;
*) ARCHITECTURE=$(uname -m) ;;
esac
export ARCHITECTURE
name=validator-$VERSION-pg$MAJOR-$ARCHITECTURE

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"

main() {
    case $what in
    package) package ;;
    image) image ;;
    *) exit 2 ;;
    esac
}

package() {
    local nfpm packages
    # The headers that are there for compiling know no client certificates.
    [[ $MAJOR != 16 || $(PG=16 scripts/postgresql.sh) != "$VALIDATOR_CACHE"/* ]] ||
        die "a package for PostgreSQL 16: install its server headers, with OpenSSL, and give PG_CONFIG=/path/to/pg_config"
    nfpm=$(scripts/go-tool.sh nfpm)
    mapfile -t packages < <(packages_of_this_run)
    rm -f -- "${packages[@]}"
    licences validator >"$work/THIRD-PARTY-LICENSES"
    mkdir "$work/hook"
    licences validator-hook >"$work/hook/THIRD-PARTY-LICENSES"
    bills_of_materials "$folder/$name.cdx.json" "$work/hook/sbom.cdx.json"
    extension_files "$work/extension"
    tarball
    linux_package deb "postgresql-$MAJOR-validator" "/usr/lib/postgresql/$MAJOR/lib" "/usr/share/postgresql/$MAJOR/extension"
    linux_package rpm "postgresql$MAJOR-validator" "/usr/pgsql-$MAJOR/lib" "/usr/pgsql-$MAJOR/share/extension"
    pam_package deb "/usr/lib/$(uname -m)-linux-gnu/security"
    pam_package rpm /usr/lib64/security
    if ((MAJOR >= 18)); then # Arch has the newest version only
        linux_package archlinux postgresql-validator /usr/lib/postgresql /usr/share/postgresql/extension
        pam_package archlinux /usr/lib/security
    fi
    local format
    for format in deb rpm archlinux; do hook_package "$format"; done
    checksums
    mapfile -t packages < <(packages_of_this_run)
    tell "${packages[@]}" "$folder/SHA256SUMS"
}

# What `package` makes, as it lies in the folder, of whichever version: for this major version of PostgreSQL, and for all. What
# other runs have made for other versions stays there.
packages_of_this_run() (
    shopt -s nullglob
    cd "$folder"
    packages=(
        validator-*-pg"$MAJOR"-*.{tar.gz,cdx.json} "postgresql-$MAJOR-validator_"*.deb "postgresql$MAJOR-validator-"*.rpm
        libpam-validator_*.deb pam-validator-*.rpm validator-hook[-_]*
    )
    ((MAJOR < 18)) || packages+=(postgresql-validator-*.pkg.tar.zst pam-validator-*.pkg.tar.zst)
    printf '%s\n' "${packages[@]/#/$folder/}"
)

# checksums of all that is there, whichever run has made it.
checksums() { (shopt -s nullglob && cd "$folder" && sha256sum -- validator-* postgresql* *pam-validator* >SHA256SUMS); }

# extension_files FOLDER: what CREATE EXTENSION needs.
extension_files() {
    mkdir -p "$1"
    cp validator.control sql/validator--*.sql "$1"
}

# documents FOLDER: the manual, with what its links lead to.
documents() {
    mkdir -p "$1"
    cp README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md SECURITY.md "$1"
    find docs \( -name '*.md' -o -name '*.svg' \) -exec cp --parents -t "$1" {} +
}

# Laid out as pg_config's folders are named; docs/install.md says where to put them.
tarball() {
    local root=$work/$name
    mkdir -p "$root"/{lib,share}
    install -m 755 "$LIBRARY" "$root/lib/validator.so"
    install -m 644 "$PAM_LIBRARY" "$root/lib/pam_validator.so"
    extension_files "$root/share/extension"
    documents "$root"
    cp LICENSE "$work/THIRD-PARTY-LICENSES" "$root"
    cp "$folder/$name.cdx.json" "$root/sbom.cdx.json"
    archive "$work" "$name" | gzip --no-name --best >"$folder/$name.tar.gz"
}

# linux_package FORMAT NAME LIBRARY-FOLDER EXTENSION-FOLDER
linux_package() {
    local format=$1 doc=$work/doc
    export PACKAGE=$2 LIBRARY_FOLDER=$3 EXTENSION_FOLDER=$4 STAGE=$work GLIBC METHODS PAM_NEEDED PAM_RECOMMENDED
    GLIBC=$(needed_glibc "$LIBRARY") METHODS=$(methods)
    PAM_NEEDED='' PAM_RECOMMENDED=$(pam_package_name "$format")
    ((MAJOR >= 18)) || { PAM_NEEDED=$PAM_RECOMMENDED && PAM_RECOMMENDED=; }
    rm -rf "$doc"
    documents "$doc"
    legal_documents "$doc" library "$work/THIRD-PARTY-LICENSES" "$folder/$name.cdx.json"
    find "$work/extension" "$doc" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    first_steps >"$work/first-steps"
    sed "/^FIRST STEPS$/{r $work/first-steps
        d}" packaging/postinstall.sh >"$work/postinstall.sh"
    sed "s|packaging/postinstall.sh|$work/postinstall.sh|" packaging/nfpm.yaml >"$work/nfpm.yaml"
    "$nfpm" package --config "$work/nfpm.yaml" --packager "$format" --target "$folder" >/dev/null
}

pam_package_name() { if [[ $1 == deb ]]; then echo libpam-validator; else echo pam-validator; fi; }

# pam_package FORMAT FOLDER-OF-PAM: the PAM module, which has no third party's code and is the same for all versions.
pam_package() {
    local doc=$work/pam-doc
    export PACKAGE PAM_FOLDER=$2 STAGE=$work PAM_GLIBC
    PACKAGE=$(pam_package_name "$1") PAM_GLIBC=$(needed_glibc "$PAM_LIBRARY")
    rm -rf "$doc" && mkdir -p "$doc"
    copyright library | grep -v '^Comment: ' >"$doc/copyright"
    debian_changelog | sed 's/CHANGELOG.md/That of the package for the server/' | gzip --no-name --best >"$doc/changelog.gz"
    find "$doc" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    "$nfpm" package --config packaging/nfpm-pam.yaml --packager "$1" --target "$folder" >/dev/null
}

# By which of PostgreSQL's authentication methods tokens come: the end of the packages' description.
methods() {
    if ((MAJOR < 18)); then
        printf 'Clients of\nPostgreSQL %s send tokens as passwords, by the method "pam": the method "oauth"\nis there from version 18 on.' "$MAJOR"
    else
        printf 'Clients send\ntokens by the method "oauth", or as passwords by the method "pam".'
    fi
}

# What an installation prints.
first_steps() {
    if ((MAJOR < 18)); then
        cat <<TEXT
    shared_preload_libraries = 'validator'
    validator.issuer = 'https://...'
    validator.audience = '...'
and name a service of PAM in a line of pg_hba.conf:
    hostssl all +oauth_users all pam pamservice=tokens
Write that service's file as docs/passwords.md says, and restart.
TEXT
    else
        cat <<TEXT
    oauth_validator_libraries = 'validator'
    validator.audience = '...'
and name it in a line of pg_hba.conf:
    hostssl all +oauth_users all oauth issuer="https://..." scope="openid ..." validator=validator
Then reload. docs/passwords.md says how clients can send tokens as passwords instead.
TEXT
    fi
}

# hook_package FORMAT: validator-hook, which needs no PostgreSQL beside it.
hook_package() {
    local format=$1 doc=$work/hook/doc files=$work/hook/files
    export PACKAGE=validator-hook STAGE=$work/hook UNITS=/usr/lib/systemd/system GLIBC
    [[ $format != deb ]] || UNITS=/lib/systemd/system # as Debian 12 has it
    GLIBC=$(needed_glibc "$HOOK")
    rm -rf "$doc" "$files"
    mkdir -p "$doc" "$files"
    cp docs/logout.md CHANGELOG.md "$doc"
    legal_documents "$doc" program "$work/hook/THIRD-PARTY-LICENSES" "$work/hook/sbom.cdx.json"
    cp packaging/hook/validator-hook.{toml,service} "$files"
    gzip --no-name --best <packaging/hook/validator-hook.8 >"$files/validator-hook.8.gz"
    find "$doc" "$files" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    "$nfpm" package --config packaging/hook/nfpm.yaml --packager "$format" --target "$folder" >/dev/null
}

# legal_documents FOLDER WHAT LICENCES BILL: what each package has beside its manual.
legal_documents() {
    copyright "$2" >"$1/copyright"
    debian_changelog | gzip --no-name --best >"$1/changelog.gz"
    gzip --no-name --best <"$3" >"$1/THIRD-PARTY-LICENSES.gz"
    gzip --no-name --best <"$4" >"$1/sbom.cdx.json.gz"
}

# needed_glibc FILE: the oldest glibc that can load it: the newest version that its table of needed versions names. Packed
# relocations (build.rs) use no symbol: their mark stands for the first glibc that can read them.
needed_glibc() {
    objdump -p "$1" | sed -n 's/.*\bGLIBC_ABI_DT_RELR.*/2.36/p; s/.*\bGLIBC_\([0-9.]*\)$/\1/p' | sort --version-sort | tail -n 1
}

# copyright WHAT: Debian's machine-readable form for what is ours; the texts of others lie beside it.
copyright() {
    cat <<TEXT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: validator
Comment: The licences of what is linked into the $1 are in this folder's THIRD-PARTY-LICENSES.gz.

Files: *
Copyright: the validator maintainers
License: PostgreSQL
$(sed 's/^$/./; s/^/ /' LICENSE)
TEXT
}

# Debian's form, which tools read for version and date; what has changed is in CHANGELOG.md beside it.
debian_changelog() {
    cat <<TEXT
$PACKAGE ($VERSION) unstable; urgency=medium

  * CHANGELOG.md says what has changed.

 -- $MAINTAINER  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
TEXT
}

features() { [[ $MAJOR == 18 ]] || printf '%s\n' --no-default-features --features "pg$MAJOR"; }

# licences CRATE: the same until a dependency changes. --offline: crates are read, no server is asked about them.
licences() {
    local features=() manifest cache about
    manifest=$(manifest_of "$1")
    cache=target/licences-$1-pg$MAJOR-$(cat Cargo.lock "$manifest" packaging/about.{toml,hbs} | sha256sum | cut -c 1-16)
    if [[ ! -e $cache ]]; then
        about=$(scripts/cargo-tool.sh cargo-about)
        [[ $1 != validator ]] || mapfile -t features < <(features)
        mkdir -p target
        cargo fetch --locked --quiet
        "$about" generate --offline --locked --manifest-path "$manifest" --config packaging/about.toml \
            "${features[@]}" packaging/about.hbs >"$cache.new"
        mv "$cache.new" "$cache"
    fi
    cat "$cache"
}

# cargo-cyclonedx leaves a file beside each manifest of the workspace, and a number and a time in each, which differ every
# time; it names the checkout's folder; and it lists procedural macros, which run at the build, and what only other members
# of the workspace need. `cargo tree` knows what is linked.
#
# bills_of_materials FILE FILE: of the library, and of validator-hook.
bills_of_materials() {
    local features cyclonedx
    cyclonedx=$(scripts/cargo-tool.sh cargo-cyclonedx)
    mapfile -t features < <(features)
    "$cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --override-filename of-this-build "${features[@]}"
    bill_of_materials validator "$LIBRARY" "${features[@]}" >"$1"
    bill_of_materials validator-hook "$HOOK" >"$2"
    find . -path ./target -prune -o -name of-this-build.json -exec rm {} +
}

# bill_of_materials CRATE FILE FEATURES...
bill_of_materials() {
    local linked id of_cyclonedx
    linked=$(cargo tree --locked --package "$1" --edges normal,no-proc-macro --prefix none --format '{p}' "${@:3}" |
        awk '{ print $1 "@" substr($2, 2) }' | sort -u | jq --raw-input . | jq --slurp .)
    id=$(sha256sum "$2" | cut -d ' ' -f 1)
    of_cyclonedx=$(dirname "$(manifest_of "$1")")/of-this-build.json
    jq --argjson linked "$linked" --arg created "$created" --arg id "$id" --arg here "$PWD" --from-file packaging/bom.jq "$of_cyclonedx"
}

# manifest_of CRATE: of the module, or of one of the crates.
manifest_of() { [[ $1 == validator ]] && echo Cargo.toml || echo "crates/$1/Cargo.toml"; }

# An OCI image layout of one layer, as CloudNativePG mounts extensions.
image() {
    ((MAJOR >= 18)) || die "an image for PostgreSQL $MAJOR: before 18 PostgreSQL finds extensions in its own folders only"
    local root=$work/layer layout=$work/layout tag=$VERSION-pg$MAJOR label
    rm -f "$folder"/validator-*-pg"$MAJOR"-*.oci.tar
    mkdir -p "$root"/{lib,share,licenses/validator}
    install -m 755 "$LIBRARY" "$root/lib/validator.so"
    extension_files "$root/share/extension"
    cp LICENSE "$root/licenses/validator"
    licences validator >"$root/licenses/validator/THIRD-PARTY-LICENSES"
    archive "$root" lib licenses share >"$work/layer.tar"
    local labels=(
        "org.opencontainers.image.created=$created"
        "org.opencontainers.image.title=validator for PostgreSQL $MAJOR"
        "org.opencontainers.image.description=OAuth 2.0 token validator for PostgreSQL"
        "org.opencontainers.image.licenses=PostgreSQL"
        "org.opencontainers.image.version=$VERSION"
    )
    local options=()
    for label in "${labels[@]}"; do
        options+=(--config.label "$label" --manifest.annotation "$label")
    done
    umoci init --layout "$layout"
    umoci new --image "$layout:$tag"
    umoci raw add-layer --image "$layout:$tag" --history.created "$created" --history.created_by "make image" "$work/layer.tar"
    umoci config --image "$layout:$tag" --no-history --os linux --architecture "$ARCHITECTURE" --created "$created" \
        --config.user 65532:65532 "${options[@]}"
    umoci gc --layout "$layout"
    archive "$layout" . >"$folder/$name.oci.tar"
    checksums
    tell "$folder"/{"$name.oci.tar",SHA256SUMS}
}

# archive FOLDER PATH...: a tar archive that is the same whenever and by whomever it is made.
archive() {
    tar --create --directory "$1" --sort=name --format=gnu --owner=root:0 --group=root:0 --numeric-owner \
        --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" -- "${@:2}"
}

tell() {
    local file
    for file; do
        printf 'made: %s (%s kB)\n' "$file" "$(($(stat -c %s "$file") / 1024 + 1))"
    done
}

main
