#!/usr/bin/env bash
# Provides programs that read what contrib/monitoring has, for its tests: taken out of Debian's packages, and not installed,
# so that none is started as a service. Prints the environment variables by which the tests find them; those of programs
# that cannot be had are left out, and the tests say so.
source "$(dirname "$0")/common.sh"

folder=$VALIDATOR_CACHE/exporters
declare -A programs=(
    [POSTGRES_EXPORTER]=prometheus-postgres-exporter
    [PROMTOOL]=promtool
)

main() {
    if [[ ! -d $folder ]] && type -P apt-get dpkg-deb >/dev/null; then
        one_at_a_time
        [[ -d $folder ]] || step "exporters: unpacking" unpack
    fi
    local variable path
    for variable in "${!programs[@]}"; do
        path=$(type -P "${programs[$variable]}" || true)
        [[ -n $path ]] || path=$folder/usr/bin/${programs[$variable]}
        [[ ! -x $path ]] || printf '%s=%s ' "$variable" "$path"
    done
    echo
}

# What apt does not have is left out, and not asked for again.
unpack() {
    local package
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    cd "$folder.new"
    for package in prometheus-postgres-exporter prometheus; do
        apt-get download -q -o APT::Sandbox::User=root "$package" || echo "apt does not have $package"
    done
    for package in *.deb; do
        [[ ! -f $package ]] || dpkg-deb --extract "$package" .
    done
    rm -f ./*.deb
    mv "$folder.new" "$folder" # the last step: a folder that is there is complete
}

main
