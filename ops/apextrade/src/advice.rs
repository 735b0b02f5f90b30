//! What a person can do about an error whose own words do not say it.

use apex_node::NodeError;
use apex_venues::sim::SimVenueError;
use std::error::Error;
use std::io;

/// Returns what to do about one cause, the outermost of which comes first.
pub fn of(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(node) = cause.downcast_ref::<NodeError>() {
        return node.advice();
    }
    if let Some(venue) = cause.downcast_ref::<SimVenueError>() {
        return apex_node::error::venue_advice(venue);
    }
    match cause.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::NotFound => Some("check the path"),
        io::ErrorKind::PermissionDenied => Some("check its rights"),
        io::ErrorKind::AddrInUse => Some("stop what serves there, or pass another --listen"),
        io::ErrorKind::StorageFull => Some("free some space on that disk"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_of_the_system_has_its_advice_and_an_own_one_comes_first() {
        for (kind, expected) in [
            (io::ErrorKind::NotFound, Some("check the path")),
            (io::ErrorKind::PermissionDenied, Some("check its rights")),
            (io::ErrorKind::TimedOut, None),
        ] {
            assert_eq!(of(&io::Error::from(kind)), expected);
        }
        let source = io::Error::from(io::ErrorKind::ConnectionRefused);
        let venue = SimVenueError::Unreachable {
            address: "127.0.0.1:1".to_owned(),
            source,
        };
        let advice = of(&venue).unwrap();
        assert!(advice.contains("venue-sim"), "{advice}");
        assert_eq!(of(&NodeError::Venue(venue)), Some(advice));
    }
}
