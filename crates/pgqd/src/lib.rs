//! The PgQ ticker daemon for all databases of a server.
