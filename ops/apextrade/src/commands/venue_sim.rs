//! `apextrade venue-sim`.
