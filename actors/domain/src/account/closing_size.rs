//! How much of a position one closing order takes.

use super::closing::Target;
use super::machine::Account;
use crate::id::InstrumentId;
use crate::instrument::{Instrument, InstrumentKind};
use crate::number::{Decimal, Quantity};
use crate::risk::checks::Funds;
use std::collections::BTreeMap;

/// Units of spot instruments that the closing orders of one moment sell already.
pub(super) type Coins = BTreeMap<InstrumentId, i64>;

impl Account {
    /// Returns how much of a position its next closing order takes: as much as one order can, and
    /// of a spot position no more than there are coins, since fees may have taken some. `None`
    /// where that is less than the venue takes as an order.
    pub(super) fn closable_size(&self, target: &Target, coins: &mut Coins) -> Option<Quantity> {
        let instrument = self.instruments.get(&target.instrument_id)?;
        let step = instrument.quantity_increment.0;
        let largest = instrument.max_quantity.0.unsigned_abs();
        let size = target.quantity.unsigned_abs().min(largest);
        let mut size = i64::try_from(size).ok()?;
        if target.quantity > 0 && self.needs_coins(instrument) {
            let sold = coins.get(&target.instrument_id).copied().unwrap_or(0);
            let held = self.coins_of(instrument).unwrap_or(i64::MAX);
            size = size.min(held.saturating_sub(sold));
        }
        let size = size / step * step;
        if size <= 0 || size < self.smallest_size(instrument) {
            return None;
        }
        if target.quantity > 0 {
            *coins.entry(target.instrument_id.clone()).or_default() += size;
        }
        Some(Quantity(size))
    }

    /// Returns how much of `size` may be closed now. While the journal's server is away another owner
    /// may close as well, and two must not turn the position: then it is what brings the position
    /// that the venue has nearer to zero, where the venue holds an order to that. `None` where that is
    /// less than it takes, or it does not: that part waits.
    pub(super) fn size_now(&self, target: &Target, size: Quantity) -> Option<Quantity> {
        if !self.asked.away {
            return Some(size);
        }
        let instrument = self.instruments.get(&target.instrument_id)?;
        let net = self.position_of(&target.instrument_id, target.side);
        let open = match (target.quantity > 0) == (net.quantity > 0) {
            true => i64::try_from(net.quantity.unsigned_abs()).unwrap_or(i64::MAX),
            false => 0,
        };
        let size = Quantity(size.0.min(open));
        let is_held = !instrument.rules.lacks.reduce_only;
        (is_held && size.0 > 0 && size.0 >= self.smallest_size(instrument)).then_some(size)
    }

    /// As for every other sell.
    fn needs_coins(&self, instrument: &Instrument) -> bool {
        instrument.kind == InstrumentKind::Spot
            && self.limits.check_buying_power
            && !self.limits.allow_short_spot
    }

    /// Returns how many whole units there are to sell; `None` where that cannot be counted, and
    /// the venue has to.
    fn coins_of(&self, instrument: &Instrument) -> Option<i64> {
        let coins = self.funds(instrument).base_holdings().ok()?;
        let decimals = u32::from(instrument.quantity_decimals);
        let mut units = coins.max(Decimal::ZERO).trunc_with_scale(decimals);
        units.rescale(decimals);
        let is_whole = units.scale() == decimals;
        i64::try_from(units.mantissa()).ok().filter(|_| is_whole)
    }

    /// Returns the smallest order by quantity, and by worth where there is a price.
    fn smallest_size(&self, instrument: &Instrument) -> i64 {
        let mark = self.marks.marks().get(&instrument.instrument_id);
        let smallest = mark.and_then(|mark| instrument.smallest_orderable(mark.price).ok());
        smallest.unwrap_or(instrument.min_quantity).0
    }
}
