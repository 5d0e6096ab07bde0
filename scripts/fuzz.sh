#!/usr/bin/env bash
# Runs the fuzz targets: over the inputs in fuzz/corpus, then over new ones that they lead to.
# Arguments: seconds for each target, and the name of one (otherwise all). New inputs stay in target/fuzz/corpus.
source "$(dirname "$0")/common.sh"

seconds=$1
only=${2:-}

cd "$(dirname "$0")/.."
folder=$PWD/target/fuzz
export RUSTC_BOOTSTRAP=1 # the sanitizer is a flag of nightly compilers, which a stable one has too

cargo_fuzz=$(scripts/cargo-tool.sh cargo-fuzz)
cargo metadata --locked --no-deps --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null # cargo-fuzz has no --locked

mapfile -t targets < <("$cargo_fuzz" list)
if [[ -n $only ]]; then
    [[ " ${targets[*]} " == *" $only "* ]] || die "There is no fuzz target \"$only\", only: ${targets[*]}"
    targets=("$only")
fi
step "fuzz: building" "$cargo_fuzz" build --target-dir "$folder" ${only:+"$only"}

failed=()
for target in "${targets[@]}"; do
    new=$folder/corpus/$target
    output=$folder/$target.log
    mkdir -p "$new" "$folder/artifacts"
    options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1)
    if "$cargo_fuzz" run --target-dir "$folder" "$target" "$new" "fuzz/corpus/$target" -- \
        "${options[@]}" -artifact_prefix="$folder/artifacts/$target-" >"$output" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$output")
        coverage=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$output" | tail -n 1)
        echo "fuzz: $target: ${runs:-?} executions, ${coverage:-no coverage told}"
    else
        failed+=("$target")
        tail -n 40 "$output" >&2
        say "fuzz: $target: failed; the whole output is in $output"
    fi
done
((${#failed[@]} == 0)) || die "fuzz: failed: ${failed[*]}"
