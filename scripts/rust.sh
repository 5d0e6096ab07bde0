#!/usr/bin/env bash
# Checks that cargo and a new enough rustc are there, and adds the named rustup components (clippy, rustfmt).
source "$(dirname "$0")/common.sh"

oldest=1.95 # as in Cargo.toml
one_at_a_time

if type -P rustup >/dev/null && ! cargo --version >/dev/null 2>&1; then
    step "rust: installing the stable tool chain" rustup default stable # a rustup of Debian's comes without one
fi
type -P cargo rustc >/dev/null || die "cargo and rustc are needed, $oldest or newer: see https://rustup.rs"

version=$(rustc --version | cut -d ' ' -f 2)
printf '%s\n' "$oldest" "$version" | sort --check=quiet --version-sort ||
    die "rustc $version is too old, $oldest or newer is needed: 'rustup update stable', or see https://rustup.rs"

for component; do
    "cargo-${component/rustfmt/fmt}" --version >/dev/null 2>&1 && continue
    type -P rustup >/dev/null || die "$component is missing: install it as you installed rustc"
    step "rust: adding $component" rustup component add "$component"
done
