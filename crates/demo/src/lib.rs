//! The demonstration: two clusters, live load, replication and a comparison.
