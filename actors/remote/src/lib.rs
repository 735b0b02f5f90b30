//! Handles across processes.
