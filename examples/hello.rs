//! Placeholder until the native host is there.
fn main() {}
