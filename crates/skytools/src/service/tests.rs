//! Tests of the service loop.
