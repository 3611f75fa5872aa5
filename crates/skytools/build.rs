//! Rebuilds the crate when a SQL file is added or removed; contents are embedded by `include_dir`.

fn main() {
    println!("cargo:rerun-if-changed=sql");
    println!("cargo:rerun-if-changed=build.rs");
}
