#!/usr/bin/env bash
# Unpacks Debian's package libpam-wrapper outside of the checkout: preloaded, it has a program's PAM read its files from a
# folder of ours instead of /etc/pam.d. It needs no library but the C library. Prints the environment variable by which the
# tests find it; nothing where apt does not offer it.
source "$(dirname "$0")/common.sh"

main() {
    type -P apt-get dpkg-deb >/dev/null || return 0
    local version folder
    version=$(candidate libpam-wrapper)
    [[ -n $version ]] || return 0
    folder=$VALIDATOR_CACHE/pam-wrapper-$version
    if [[ ! -d $folder ]]; then
        one_at_a_time
        [[ -d $folder ]] || step "libpam-wrapper: unpacking $version" unpack_packages "$folder" libpam-wrapper
    fi
    echo "PAM_WRAPPER_LIBRARY=$(find "$folder/usr/lib" -name libpam_wrapper.so)"
}

main
