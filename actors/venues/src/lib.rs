//! Venues.
