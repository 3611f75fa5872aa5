//! PgQ for Rust: transactional producers, streaming consumers and cascades over PostgreSQL.
