//! Account and broker shells.
