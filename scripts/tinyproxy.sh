#!/usr/bin/env bash
# Unpacks Debian's package tinyproxy-bin outside of the checkout: installing the package tinyproxy would start a service.
# It needs no library but the C library. Prints the environment variable by which the tests find the program; nothing where
# apt does not offer it.
source "$(dirname "$0")/common.sh"

main() {
    type -P apt-get dpkg-deb >/dev/null || return 0
    local version folder
    version=$(candidate tinyproxy-bin)
    [[ -n $version ]] || return 0
    folder=$VALIDATOR_CACHE/tinyproxy-$version
    if [[ ! -d $folder ]]; then
        one_at_a_time
        [[ -d $folder ]] || step "tinyproxy: unpacking $version" unpack_packages "$folder" tinyproxy-bin
    fi
    echo "TINYPROXY=$folder/usr/bin/tinyproxy"
}

main
