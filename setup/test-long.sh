#!/bin/bash
# The tests that search at random, with new seeds and for minutes, and the one with very many queues. Arguments go to cargo.
# CAPTURE_RANDOM_SEED, CAPTURE_RANDOM_SECONDS, SET_APPLY_SEED, SET_APPLY_ROUNDS and MANY_QUEUES change what it does.
set -uo pipefail

export RUST_LIB_BACKTRACE=0
seed=$(date +%s)
export CAPTURE_RANDOM_SEED=${CAPTURE_RANDOM_SEED:-$seed} CAPTURE_RANDOM_SECONDS=${CAPTURE_RANDOM_SECONDS:-600}
export SET_APPLY_SEED=${SET_APPLY_SEED:-$seed} SET_APPLY_ROUNDS=${SET_APPLY_ROUNDS:-200}
export MANY_QUEUES=${MANY_QUEUES:-10000}

status=0
run() {
    cargo test "$@" -- --nocapture || status=1
}
run "$@" -p e2e --test capture_random
run "$@" -p londiste --test set_apply
run "$@" -p e2e --test many_queues
exit $status
