//! Table replication on PgQ.
