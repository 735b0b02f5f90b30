//! Measured flows.
