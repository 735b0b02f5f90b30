//! Market data shells.
