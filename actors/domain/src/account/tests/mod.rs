//! The account as a whole, driven by scripts of inputs.

mod orders;
mod support;
