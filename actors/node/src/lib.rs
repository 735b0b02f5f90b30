//! Roles of one process.
