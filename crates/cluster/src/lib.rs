//! Throw-away PostgreSQL clusters: find server binaries, start, crash, stop, remove.
