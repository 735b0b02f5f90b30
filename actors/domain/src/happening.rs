//! What happens to holders of an instrument by the clock, as files state it: funding, splits and
//! dividends.

use crate::id::InstrumentId;
use crate::money::{Money, Rate};
use crate::number::Decimal;
use crate::time::UnixNanos;

/// Something that happens to whoever holds an instrument at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// It meets positions as they are before anything else of this time.
    pub ts: UnixNanos,
    /// Whose, as the file writes it: a symbol, or a whole instrument id; `None` is every
    /// instrument of the data.
    pub symbol: Option<String>,
    pub what: What,
}

/// See [`Happening`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Longs pay `rate` of their notional, shorts receive it.
    Funding {
        rate: Rate,
        /// What the notional is counted at, above zero; the last price where not stated.
        mark: Option<Decimal>,
    },
    /// Each unit becomes `numerator / denominator` units; both above zero.
    Split { numerator: u32, denominator: u32 },
    /// Each unit receives this much quote currency; a short one pays it.
    Dividend { amount: Money },
}

impl Happening {
    /// Returns true where it happens to this instrument.
    pub fn concerns(&self, id: &InstrumentId) -> bool {
        let named = self.symbol.as_deref();
        named.is_none_or(|symbol| symbol == id.symbol() || symbol == id.as_str())
    }
}
