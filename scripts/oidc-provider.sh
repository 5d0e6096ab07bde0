#!/usr/bin/env bash
# Installs the npm package oidc-provider as pinned by the lock file, outside of the checkout, and a node for it if this
# machine's is too old. Prints the environment variables by which the tests find both.
source "$(dirname "$0")/common.sh"

pinned=$(cd "$(dirname "$0")/../pg_test/providers/oidc-provider" && pwd)
folder=$VALIDATOR_CACHE/oidc-provider-$(cat "$pinned"/package{,-lock}.json | sha256sum | cut -c 1-12)
node_version=22.23.3 # brought along where the machine's is too old; Debian 12's is 18
own_node=$VALIDATOR_CACHE/node-$node_version

main() {
    local node
    if ! { node=$(find_node) && [[ -d $folder ]]; }; then
        type -P npm >/dev/null || die "npm is needed to install oidc-provider, which the tests start: see https://nodejs.org"
        one_at_a_time
        find_node >/dev/null || step "node: installing $node_version" install_node
        node=$(find_node)
        [[ -d $folder ]] || step "oidc-provider: installing" install_provider
    fi
    echo "NODE=$node OIDC_PROVIDER_DIR=$folder"
}

# This machine's node if the package's `engines` accept it, else our own.
find_node() {
    local node
    for node in "$(type -P node)" "$own_node/bin/node"; do
        [[ -x $node ]] || continue
        if "$node" -e 'process.exit(parseInt(process.versions.node) >= parseInt(require(process.argv[1]).engines.node.slice(2)) ? 0 : 1)' \
            "$pinned/package.json"; then
            echo "$node"
            return
        fi
    done
    return 1
}

# The npm package `node` fetches this one by a script at installation; taking it directly needs no script.
install_node() {
    local arch
    arch=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
    rm -rf "$own_node.new" &&
        npm install --prefix "$own_node.new" --ignore-scripts --no-audit --no-fund "node-linux-$arch@$node_version" &&
        mkdir -p "$own_node/bin" &&
        mv "$own_node.new/node_modules/node-linux-$arch/bin/node" "$own_node/bin/node" &&
        rm -rf "$own_node.new"
}

install_provider() {
    rm -rf "$folder.new" &&
        mkdir "$folder.new" &&
        cp "$pinned"/package{,-lock}.json "$folder.new" &&
        (cd "$folder.new" && npm ci --ignore-scripts --no-audit --no-fund) &&
        mv "$folder.new" "$folder" # the last step: a folder that is there is complete
}

main
