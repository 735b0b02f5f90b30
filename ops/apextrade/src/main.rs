//! The one binary: roles and commands of the platform.

fn main() {}
