#!/usr/bin/env bash
# Unpacks Debian's package glewlwyd, and the libraries that this machine lacks for it, outside of the checkout: installing
# it would start a service. Prints the environment variable by which the tests find it; nothing where apt does not offer it.
source "$(dirname "$0")/common.sh"

main() {
    type -P apt-get dpkg-deb >/dev/null || return 0
    local version folder
    version=$(candidate glewlwyd)
    [[ -n $version ]] || return 0
    folder=$VALIDATOR_CACHE/glewlwyd-$version
    if [[ ! -d $folder ]]; then
        one_at_a_time
        [[ -d $folder ]] || step "glewlwyd: unpacking $version" unpack "$folder"
    fi
    echo "GLEWLWYD_DIR=$folder"
}

unpack() {
    local folder=$1 packages
    # Of what would be installed, the server and libraries; databases, fonts and scripts are not used here.
    mapfile -t packages < <(apt-get install --simulate --no-install-recommends glewlwyd |
        sed -n 's/^Inst \(glewlwyd[^ ]*\|lib[^j][^ ]*\) .*/\1/p')
    unpack_packages "$folder" "${packages[@]}"
}

main
