#!/usr/bin/env bash
# Unpacks Debian's package libpam-wrapper outside of the checkout: preloaded, it has a program's PAM read its files from a
# folder of ours instead of /etc/pam.d. Prints the environment variable by which the tests find it; nothing where apt does
# not offer it.
source "$(dirname "$0")/common.sh"

main() {
    type -P apt-get dpkg-deb >/dev/null || return 0
    local version folder
    version=$(apt-cache policy libpam-wrapper 2>/dev/null | sed -n 's/^  Candidate: \([0-9].*\)/\1/p')
    [[ -n $version ]] || return 0
    folder=$VALIDATOR_CACHE/pam-wrapper-$version
    if [[ ! -d $folder ]]; then
        one_at_a_time
        [[ -d $folder ]] || step "libpam-wrapper: unpacking $version" unpack "$folder"
    fi
    echo "PAM_WRAPPER_LIBRARY=$(find "$folder/usr/lib" -name libpam_wrapper.so)"
}

# It needs no library but the C library.
unpack() {
    local folder=$1
    rm -rf "$folder.new" &&
        mkdir -p "$folder.new/debs" &&
        (cd "$folder.new/debs" && apt-get download libpam-wrapper) &&
        find "$folder.new/debs" -name '*.deb' -exec dpkg-deb --extract {} "$folder.new" \; &&
        rm -rf "$folder.new/debs" &&
        mv "$folder.new" "$folder" # the last step: a folder that is there is complete
}

main
