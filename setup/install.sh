#!/bin/bash
# Installs what the demonstration and the tests need and this machine lacks. Safe to run again: it looks first,
# says what it does, and does nothing when nothing is missing.
#
# usage: setup/install.sh check|demo|test
#
#   check   a C compiler for the linker
#   demo    that, and the PostgreSQL server programs (no server is configured or started)
#   test    that, and the original PgQ, Londiste and pgqd packages and Python's venv, for the tests of interoperation
set -euo pipefail

purpose=${1:-}
case $purpose in check | demo | test) ;; *)
    echo "usage: setup/install.sh check|demo|test" >&2
    exit 2
    ;;
esac

say() { echo "set-up: $*"; }
die() { echo "set-up: $*" >&2; exit 1; }

# The directory of server programs, in the order in which the programs here look for it.
server_bindir() {
    local dir
    for dir in "${PG_BIN:-}" "$(pg_config --bindir 2>/dev/null)" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
        if [ -n "$dir" ] && [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
            echo "$dir"
            return 0
        fi
    done
    return 1
}

server_major() {
    "$(server_bindir)/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/'
}

# The newest Debian major version installed; the packages of the originals are Debian's.
debian_major() {
    local dir
    for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
        [ -x "$dir/postgres" ] && basename "$(dirname "$dir")" && return 0
    done
    return 1
}

# Packages that are missing although no server decision depends on them.
tools_missing() {
    command -v cc >/dev/null || echo gcc libc6-dev
    [ "$purpose" = test ] || return 0
    command -v python3 >/dev/null || echo python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

originals_missing() {
    [ "$purpose" = test ] || return 0
    local major=$1 share=/usr/share/postgresql/$1/extension
    [ -x "/usr/lib/postgresql/$major/bin/postgres" ] || echo "postgresql-$major"
    [ -f "$share/pgq.control" ] || echo "postgresql-$major-pgq3"
    [ -f "$share/pgq_node.control" ] || echo "postgresql-$major-pgq-node"
    [ -f "$share/londiste.control" ] || echo "postgresql-$major-londiste-sql"
    [ -x /usr/bin/pgqd ] || echo pgqd
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Keeps packages from starting services and from creating a database cluster while they are installed, and leaves
# both settings as they were. Files that somebody else made are not touched.
policy=/usr/sbin/policy-rc.d
dropin=/etc/postgresql-common/createcluster.d/skytools-setup.conf
made_policy=
quiet_begin() {
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\n# made by setup/install.sh, which removes it\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        made_policy=1
    fi
    as_root mkdir -p "$(dirname "$dropin")"
    echo 'create_main_cluster = false' | as_root tee "$dropin" >/dev/null
}
quiet_end() {
    [ -z "$made_policy" ] || as_root rm -f "$policy"
    as_root rm -f "$dropin"
    as_root rmdir --ignore-fail-on-non-empty "$(dirname "$dropin")" 2>/dev/null || true
}

updated=
install() {
    if ! command -v apt-get >/dev/null; then
        die "missing: $* (Debian's names). This machine has no apt-get: install their equivalents, and name the" \
            "directory of PostgreSQL's server programs in PG_BIN."
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        die "missing packages. Run as root:  apt-get update && apt-get install --no-install-recommends $*"
    fi
    say "installing $*"
    [ "$(id -u)" = 0 ] || say "sudo may ask for your password"
    trap quiet_end EXIT
    quiet_begin
    if [ -z "$updated" ]; then
        as_root apt-get update -q
        updated=1
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    case " $* " in *" pgqd "*)
        # Debian's pgqd would tick every database of this machine from the next boot on.
        as_root update-rc.d pgqd disable
        ;;
    esac
    quiet_end
    trap - EXIT
}

wanted=$(tools_missing)
if [ "$purpose" != check ] && ! server_bindir >/dev/null; then
    # Debian's metapackage: its release's PostgreSQL. The client programs and pgbench come with it.
    wanted="$wanted postgresql"
fi
# shellcheck disable=SC2086 # a list of words
[ -z "${wanted// /}" ] || install $wanted

[ "$purpose" = check ] && exit 0
server_bindir >/dev/null || die "the server programs were installed, but not found: name their directory in PG_BIN"

if [ "$purpose" = test ]; then
    major=$(debian_major || server_major)
    wanted=$(originals_missing "$major")
    # shellcheck disable=SC2086
    [ -z "$wanted" ] || install $wanted
fi
say "PostgreSQL $(server_major) in $(server_bindir)"
