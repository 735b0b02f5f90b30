//! Journal shells.
