#!/bin/bash
# Runs all tests of the workspace, documentation examples included, and prints the totals. Arguments go to cargo.
set -uo pipefail

# Errors carry their context; a stack under each of them only hides it. Panics keep theirs.
export RUST_LIB_BACKTRACE=0

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

cargo test --workspace --no-fail-fast "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

awk '
    /^test result: / {
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) passed += $(i - 1)
            if ($i ~ /^failed/) failed += $(i - 1)
            if ($i ~ /^ignored/) ignored += $(i - 1)
        }
    }
    /^test .* \.\.\. FAILED$/ || /^test .* FAILED$/ { names = names "\n  " $2 }
    END {
        printf "\ntotal: %d passed, %d failed, %d ignored\n", passed, failed, ignored
        if (names != "") print "failed:" names
        if (passed == 0) { print "no test ran"; exit 1 }
    }
' "$log" || status=1
exit "$status"
