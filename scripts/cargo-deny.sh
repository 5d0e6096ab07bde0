#!/usr/bin/env bash
# Prints the path of cargo-deny: this machine's, or one that is compiled into the cache.
source "$(dirname "$0")/common.sh"

version=0.20.2
folder=$VALIDATOR_CACHE/cargo-deny-$version

main() {
    type -P cargo-deny && return
    if [[ ! -x $folder/bin/cargo-deny ]]; then
        one_at_a_time
        [[ -x $folder/bin/cargo-deny ]] || step "cargo-deny $version: compiling (some minutes)" install
    fi
    echo "$folder/bin/cargo-deny"
}

# It runs for a second: no optimization is worth the wait.
install() {
    rm -rf "$folder.new" &&
        CARGO_TARGET_DIR=$folder.new/target CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
            CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            cargo install --locked --root "$folder.new" "cargo-deny@$version" &&
        rm -rf "$folder.new/target" "$folder" &&
        mv "$folder.new" "$folder" # the last step: a folder that is there is complete
}

main
