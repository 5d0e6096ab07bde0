#!/usr/bin/env bash
# Runs the given make targets, which run tests: all of them, even if one fails. Then names what was skipped, and says in
# the last line how many tests passed, failed, and were skipped. `make test` starts this.
set -uo pipefail

output=$(mktemp)
VALIDATOR_SKIPPED=$(mktemp) # pg_test's skip() writes there
export VALIDATOR_SKIPPED
trap 'rm -f "$output" "$VALIDATOR_SKIPPED"' EXIT

"${MAKE:-make}" --no-print-directory --keep-going "$@" 2>&1 | tee "$output"
status=${PIPESTATUS[0]}

# What a test of its own target is left to is called ignored by cargo; it is left out all the same.
sed 's/^/skipped: /' "$VALIDATOR_SKIPPED"
sed -n 's/^test \(.*\) \.\.\. ignored, \(.*\)$/skipped: \1: \2/p' "$output"
# A test that skips itself counts as passed to cargo. A crash or a compiler's error, which nobody counts, is a failure.
awk -v status="$status" -v skipped="$(wc -l <"$VALIDATOR_SKIPPED")" '
    /^test result: / { passed += $4; failed += $6; ignored += $8 }
    END {
        if (status != 0 && failed == 0) failed = 1
        printf "%d passed, %d failed, %d skipped\n", passed - skipped, failed, skipped + ignored
    }' "$output"
exit "$status"
