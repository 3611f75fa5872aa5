//! The `skytools` executable: knows every program and nothing else.

fn main() {}
