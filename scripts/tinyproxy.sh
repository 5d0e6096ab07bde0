#!/usr/bin/env bash
# Unpacks Debian's package tinyproxy-bin outside of the checkout: installing the package tinyproxy would start a service.
# Prints the environment variable by which the tests find the program; nothing where apt does not offer it.
source "$(dirname "$0")/common.sh"

main() {
    type -P apt-get dpkg-deb >/dev/null || return 0
    local version folder
    version=$(apt-cache policy tinyproxy-bin 2>/dev/null | sed -n 's/^  Candidate: \([0-9].*\)/\1/p')
    [[ -n $version ]] || return 0
    folder=$VALIDATOR_CACHE/tinyproxy-$version
    if [[ ! -d $folder ]]; then
        one_at_a_time
        [[ -d $folder ]] || step "tinyproxy: unpacking $version" unpack "$folder"
    fi
    echo "TINYPROXY=$folder/usr/bin/tinyproxy"
}

# It needs no library but the C library.
unpack() {
    local folder=$1
    rm -rf "$folder.new" &&
        mkdir -p "$folder.new/debs" &&
        (cd "$folder.new/debs" && apt-get download tinyproxy-bin) &&
        find "$folder.new/debs" -name '*.deb' -exec dpkg-deb --extract {} "$folder.new" \; &&
        rm -rf "$folder.new/debs" &&
        mv "$folder.new" "$folder" # the last step: a folder that is there is complete
}

main
