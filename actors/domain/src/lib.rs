//! Pure values and state machines.
