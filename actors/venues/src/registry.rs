//! The venues that are known here. A new one adds its folder and its line.

/// What the code here can do for a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Venue {
    /// The part of an instrument id behind the last dot.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// Recordings of its public streams can be replayed.
    pub replays: bool,
}

/// All known venues, by name. `SIM` is ours: data without a venue, and the simulated market.
pub const VENUES: [Venue; 2] = [
    Venue {
        name: "BINANCE",
        title: "Binance spot and USD-M futures",
        replays: true,
    },
    Venue {
        name: "SIM",
        title: "the simulated venue",
        replays: false,
    },
];

/// Returns the venue of that name, which is the venue part of an instrument id.
pub fn find(name: &str) -> Option<&'static Venue> {
    VENUES.iter().find(|venue| venue.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::{Market, instrument_id};

    #[test]
    fn venues_are_found_by_the_name_in_an_instrument_id() {
        assert!(VENUES.is_sorted_by_key(|venue| venue.name));
        for market in [Market::Spot, Market::UsdM] {
            let id = instrument_id("btcusdt", market).unwrap();
            assert!(find(id.venue()).is_some_and(|venue| venue.replays));
        }
        assert_eq!(find("NOWHERE"), None);
    }
}
