//! Whose position an execution moves.

use crate::id::StrategyId;
use crate::order::PositionSide;
use std::fmt;

/// One position within an instrument: a strategy, and in a hedging account the side that its
/// order named. What is of no order of ours is of `EXTERNAL`, netting.
///
/// An order that names no side nets; orders of one strategy that name `Long` and `Short` move
/// two positions that do not touch each other. A fill that closes more than its side holds turns
/// that side's position below zero, or above it for `Short`: it is real all the same, and the sum
/// over the sides stays what the venue has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    pub strategy_id: StrategyId,
    pub side: PositionSide,
}

impl Holder {
    /// The one netting position of a strategy.
    pub fn netting(strategy_id: StrategyId) -> Holder {
        Holder {
            strategy_id,
            side: PositionSide::Net,
        }
    }

    /// The owner of what no order of this account explains.
    pub fn external() -> Holder {
        Holder::netting(StrategyId::external())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            PositionSide::Net => self.strategy_id.fmt(f),
            PositionSide::Long => write!(f, "{} long", self.strategy_id),
            PositionSide::Short => write!(f, "{} short", self.strategy_id),
        }
    }
}
