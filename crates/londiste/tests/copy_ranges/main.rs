//! Copies by ranges: killed at every stage, under writers, and resumed without loading again what was loaded.

mod changes;
mod fixture;
mod kills;
mod publications;
mod requests;
mod suited;
#[path = "../support/mod.rs"]
mod support;
mod together;
