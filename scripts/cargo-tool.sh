#!/usr/bin/env bash
# cargo-tool.sh NAME: prints the path of a program from crates.io that works on this code: this machine's, if that has the
# version which is named here, or one that is compiled into the cache.
source "$(dirname "$0")/common.sh"

# Those that CI compiles each time, to run them for seconds, are not optimized: half the time, in all. But for what compares
# texts with licences, which would take minutes.
tool=$1 options=() optimization=1
case $tool in
cargo-about) version=0.9.3 optimization=0 options=(--features cli --config 'profile.release.package.spdx.opt-level=2') ;;
cargo-cyclonedx) version=0.5.9 optimization=0 ;;
cargo-deny) version=0.20.2 optimization=0 ;;
cargo-fuzz) version=0.13.2 ;;
cargo-llvm-cov) version=0.9.1 ;;
cargo-mutants) version=27.1.0 ;;
cargo-semver-checks) version=0.51.0 ;;
hyperlink) version=0.3.2 ;;
mdbook) version=0.5.4 ;;
pgxn_meta) version=0.7.0 optimization=0 ;;
*) die "$tool: no version of it is named in $0" ;;
esac
folder=$VALIDATOR_CACHE/$tool-$version

main() {
    if [[ $(own_version) == *" $version"* ]]; then
        type -P "$tool"
        return
    fi
    if [[ ! -x $folder/bin/$tool ]]; then
        one_at_a_time
        [[ -x $folder/bin/$tool ]] || step "$tool $version: compiling (some minutes)" install
    fi
    echo "$folder/bin/$tool"
}

# A subcommand of cargo's expects its own name first, as cargo gives it.
own_version() {
    [[ $(type -P "$tool") ]] || return 0
    case $tool in
    cargo-*) "$tool" "${tool#cargo-}" --version 2>/dev/null || true ;;
    *) "$tool" --version 2>/dev/null || true ;;
    esac
}

# How we build the module does not count for tools, nor do flags for the compiler that are for something else.
install() {
    local setting
    for setting in $(compgen -e | grep -E '^CARGO_(PROFILE|BUILD|TARGET|ENCODED)_|^RUSTFLAGS$|^RUSTC_BOOTSTRAP$'); do
        unset "$setting"
    done
    rm -rf "$folder.new" &&
        CARGO_TARGET_DIR=$folder.new/target CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=$optimization \
            CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
            cargo install --locked --root "$folder.new" "$tool@$version" "${options[@]}" &&
        rm -rf "$folder.new/target" "$folder" &&
        mv "$folder.new" "$folder" # the last step: a folder that is there is complete
}

main
