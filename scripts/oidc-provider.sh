#!/usr/bin/env bash
# Installs the npm package oidc-provider as pinned by the lock file, outside of the checkout, and a node for it if this
# machine's is too old. Prints the environment variables by which the tests find both.
source "$(dirname "$0")/common.sh"

pinned=$(cd "$(dirname "$0")/../pg_test/providers/oidc-provider" && pwd)
folder=$VALIDATOR_CACHE/oidc-provider-$(cat "$pinned"/package{,-lock}.json | sha256sum | cut -c 1-12)
source "$(dirname "$0")/node.sh"

main() {
    local node
    if ! { node=$(find_node) && [[ -d $folder ]]; }; then
        one_at_a_time
        find_node >/dev/null || step "node: installing $node_version" install_node
        node=$(find_node)
        [[ -d $folder ]] || step "oidc-provider: installing" install_provider
    fi
    echo "NODE=$node OIDC_PROVIDER_DIR=$folder"
}

install_provider() {
    rm -rf "$folder.new" &&
        mkdir "$folder.new" &&
        (npm_install "$folder.new") &&
        mv "$folder.new" "$folder" # the last step: a folder that is there is complete
}

main
