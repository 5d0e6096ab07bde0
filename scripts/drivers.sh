#!/usr/bin/env bash
# Installs the drivers that pg_test/tests/drivers logs in with, as pinned there, outside of the checkout. Prints the
# environment variables by which the tests find them; those of drivers that cannot be had are left out, and the tests say so.
source "$(dirname "$0")/common.sh"

programs=$(cd "$(dirname "$0")/../pg_test/tests/drivers" && pwd)
pinned=$programs/node
source "$(dirname "$0")/node.sh"

main() {
    local python java node rust
    cd "$programs"
    python=$(folder_of python/requirements.txt)
    java=$(folder_of java/{pom.xml,jars.sha256})
    node=$(folder_of node/package{,-lock}.json)
    rust=$(folder_of rust/Cargo.{toml,lock} rust/src/*.rs)
    if ! is_complete; then
        one_at_a_time
        [[ -e $python/complete ]] || step "drivers for Python: installing" \
            install_venv "$python" "$programs/python/requirements.txt"
        find_node >/dev/null || step "node: installing $node_version" install_node
        [[ -d $node ]] || step "drivers for node: installing" install_npm "$node"
        [[ -d $java ]] || ! have_java || step "drivers for Java: installing" install_jars "$java"
        [[ -e $rust/complete ]] || step "drivers for Rust: compiling" compile "$rust"
    fi
    printf 'DRIVERS_PYTHON=%s DRIVERS_NODE=%s DRIVERS_NODE_MODULES=%s DRIVERS_RUST=%s' \
        "$python/bin/python" "$(find_node)" "$node/node_modules" "$rust/drivers"
    [[ ! -d $java ]] || printf ' DRIVERS_JAVA=%s' "$java"
    echo
}

is_complete() {
    [[ -e $python/complete && -d $node && -e $rust/complete ]] && find_node >/dev/null && { [[ -d $java ]] || ! have_java; }
}

# folder_of FILE...: where that goes which these files pin.
folder_of() {
    echo "$VALIDATOR_CACHE/drivers-$(dirname "$1" | cut -d / -f 1)-$(cat "$@" | sha256sum | cut -c 1-12)"
}

have_java() { type -P java mvn >/dev/null; }

install_npm() {
    rm -rf "$1.new" &&
        mkdir "$1.new" &&
        (npm_install "$1.new") &&
        mv "$1.new" "$1" # the last step: a folder that is there is complete
}

# Maven's own files are of no use later. It fails on a wrong checksum of the repository; ours are the pinned ones.
install_jars() {
    rm -rf "$1.new" &&
        mkdir "$1.new" &&
        mvn --batch-mode --no-transfer-progress --strict-checksums --file "$programs/java/pom.xml" \
            -Dmaven.repo.local="$1.new/maven" -DoutputDirectory="$1.new/jars" \
            org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies &&
        (cd "$1.new/jars" && sha256sum --check "$programs/java/jars.sha256") &&
        mv "$1.new/jars" "$1" && # the last step: a folder that is there is complete
        rm -r "$1.new"
}

# Not with what make and a test's cargo set for the module.
compile() {
    rm -rf "$1" &&
        mkdir "$1" &&
        env -u RUSTFLAGS CARGO_TARGET_DIR="$1/target" \
            cargo build --locked --manifest-path "$programs/rust/Cargo.toml" &&
        mv "$1/target/debug/drivers" "$1/drivers" &&
        rm -r "$1/target" &&
        touch "$1/complete"
}

main
