//! Funding of perpetual contracts: when it is paid, at which rate, and how much.
//!
//! It is paid at whole multiples of the instrument's interval since the epoch, UTC: for the usual
//! eight hours at 00:00, 08:00 and 16:00. Each position pays `notional at the mark * rate` in the
//! currency of the instrument's profit; at a rate above zero longs pay shorts.

use crate::id::ExecId;
use crate::instrument::{INVERSE_DECIMALS, Instrument, InstrumentKind};
use crate::money::{Money, Rate};
use crate::number::{Decimal, NumberError, Price, Quantity};
use crate::time::{NANOS_PER_SECOND, UnixNanos};

/// Decimals to which a payment is rounded, half to even: one hundred-millionth, as venues settle
/// in. The notional of an inverse contract was rounded to as many before (see
/// [`INVERSE_DECIMALS`](crate::instrument::INVERSE_DECIMALS)).
pub const PAYMENT_DECIMALS: u32 = 8;

/// Decimals to which a rate is rounded, half to even. Venues show eight; short intervals of a
/// test need more.
const RATE_DECIMALS: u32 = 16;

/// Begins the ids of payments.
const PREFIX: &str = "F";

/// The span that the interest rate and the bounds below are stated for.
const EIGHT_HOURS_NS: i64 = 8 * 3_600 * NANOS_PER_SECOND;

/// Interest of eight hours: 0.01 %.
const INTEREST: Decimal = Decimal::from_parts(1, 0, 0, false, 4);

/// How far the interest may pull the rate away from the premium: 0.05 %.
const DAMPER: Decimal = Decimal::from_parts(5, 0, 0, false, 4);

/// A rate of eight hours is never beyond this: 2 %.
const CAP: Decimal = Decimal::from_parts(2, 0, 0, false, 2);

/// Returns the last time at which funding is paid, at `now` or before it. The interval is above
/// zero.
pub fn last_time(interval_ns: i64, now: UnixNanos) -> UnixNanos {
    UnixNanos(now.0.div_euclid(interval_ns).saturating_mul(interval_ns))
}

/// Returns how many times of payment lie in `(since, now]`. The interval is above zero.
pub fn times_between(interval_ns: i64, since: UnixNanos, now: UnixNanos) -> u64 {
    let times = now.0.div_euclid(interval_ns) - since.0.div_euclid(interval_ns);
    u64::try_from(times).unwrap_or(0)
}

/// Returns the id of the payment of a time: the same time of an instrument has the same id, so a
/// payment that is worked out again is a repeat.
pub fn payment_id(time: UnixNanos) -> ExecId {
    ExecId::new(&format!("{PREFIX}{}", time.0))
        // A letter and an integer always are an id.
        .expect("payment id is well formed")
}

/// Returns the time of a payment by its id; `None` for an id of another form.
pub fn time_of(id: &ExecId) -> Option<UnixNanos> {
    id.as_str()
        .strip_prefix(PREFIX)?
        .parse()
        .ok()
        .map(UnixNanos)
}

/// Returns the rate of one payment by what a perpetual costs over its index:
/// `premium + clamp(interest - premium, -0.05 %, 0.05 %)` with `premium = (mark - index) / index`
/// and an interest of 0.01 % for eight hours, within 2 % either way, and all of it by the share
/// that the interval has of eight hours. Without an index the premium is zero.
///
/// Errors: `OutOfRange` when the index is not above zero or a number has too many digits.
///
/// Source: Binance, "Introduction to Binance Futures Funding Rates". It averages the premium over
/// the interval and takes it at the prices of a stated size; here it is that of the moment, by
/// the two marks.
pub fn rate(interval_ns: i64, mark: Decimal, index: Option<Decimal>) -> Result<Rate, NumberError> {
    const RANGE: NumberError = NumberError::OutOfRange;
    let premium = match index {
        Some(index) if index <= Decimal::ZERO => return Err(RANGE),
        Some(index) => mark
            .checked_sub(index)
            .and_then(|over| over.checked_div(index))
            .ok_or(RANGE)?,
        None => Decimal::ZERO,
    };
    let pull = (INTEREST - premium).clamp(-DAMPER, DAMPER);
    let whole = premium.checked_add(pull).ok_or(RANGE)?.clamp(-CAP, CAP);
    whole
        .checked_mul(Decimal::from(interval_ns))
        .and_then(|rate| rate.checked_div(Decimal::from(EIGHT_HOURS_NS)))
        .map(|rate| Rate(rate.round_dp(RATE_DECIMALS)))
        .ok_or(RANGE)
}

/// Returns what a position of `quantity`, a signed mantissa, receives at one time of payment, in
/// [`Instrument::profit_currency`], rounded to [`PAYMENT_DECIMALS`]; negative is paid.
///
/// Errors: `OutOfRange`, as of [`Instrument::notional`].
pub fn payment(
    instrument: &Instrument,
    quantity: i64,
    mark: Price,
    rate: Rate,
) -> Result<Money, NumberError> {
    let notional = instrument.notional(mark, Quantity(quantity))?;
    let paid = notional.0.checked_mul(rate.0);
    paid.map(|paid| Money(-paid.round_dp(PAYMENT_DECIMALS)))
        .ok_or(NumberError::OutOfRange)
}

/// As [`payment`], at a mark that may lie between two prices of the instrument.
///
/// Errors: `OutOfRange`; the mark of an inverse contract has to be above zero.
pub fn payment_at(
    instrument: &Instrument,
    quantity: i64,
    mark: Decimal,
    rate: Rate,
) -> Result<Money, NumberError> {
    let units = instrument.quantity_decimal(Quantity(quantity));
    let units = units.checked_mul(instrument.multiplier.0);
    let notional = match instrument.kind {
        InstrumentKind::Spot | InstrumentKind::Linear => {
            units.and_then(|units| units.checked_mul(mark))
        }
        InstrumentKind::Inverse => units
            .and_then(|units| units.checked_div(mark))
            .map(|base| base.round_dp(u32::from(INVERSE_DECIMALS))),
    };
    notional
        .and_then(|notional| notional.checked_mul(rate.0))
        .map(|paid| Money(-paid.round_dp(PAYMENT_DECIMALS)))
        .ok_or(NumberError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::support::{PERP, instrument};

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_multiples_of_the_interval_since_the_epoch() {
        let hours = |n: i64| UnixNanos(n * 3_600 * NANOS_PER_SECOND);
        assert_eq!(last_time(EIGHT_HOURS_NS, hours(23)), hours(16));
        assert_eq!(last_time(EIGHT_HOURS_NS, hours(24)), hours(24));
        for (since, now, times) in [
            (7, 8, 1),
            (8, 8, 0),
            (8, 15, 0),
            (7, 33, 4),
            // A clock that was set back.
            (33, 7, 0),
        ] {
            let found = times_between(EIGHT_HOURS_NS, hours(since), hours(now));
            assert_eq!(found, times, "({since}, {now}]");
        }
    }

    #[test]
    fn an_id_tells_its_time() {
        let time = UnixNanos(1_722_470_400_000_000_000);
        assert_eq!(payment_id(time).as_str(), "F1722470400000000000");
        assert_eq!(time_of(&payment_id(time)), Some(time));
        for other in ["f-1", "F", "F1x"] {
            assert_eq!(time_of(&ExecId::new(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn the_rate_is_the_premium_pulled_to_the_interest() {
        for (mark, index, expected) in [
            ("60000", None, "0.0001"),
            ("60000", Some("60000"), "0.0001"),
            // A premium of 0.04 %: the interest is within reach.
            ("60024", Some("60000"), "0.0001"),
            // 0.1 %, less 0.05 %.
            ("60060", Some("60000"), "0.0005"),
            // -0.1 %, and 0.05 % on top.
            ("59940", Some("60000"), "-0.0005"),
            ("90000", Some("60000"), "0.02"),
            ("30000", Some("60000"), "-0.02"),
        ] {
            let found = rate(EIGHT_HOURS_NS, decimal(mark), index.map(decimal));
            assert_eq!(found, Ok(Rate(decimal(expected))), "{mark} over {index:?}");
        }
        let hourly = rate(EIGHT_HOURS_NS / 8, decimal("60060"), Some(decimal("60000")));
        assert_eq!(hourly, Ok(Rate(decimal("0.0000625"))));
        let nothing = rate(EIGHT_HOURS_NS, decimal("1"), Some(Decimal::ZERO));
        assert_eq!(nothing, Err(NumberError::OutOfRange));
    }

    #[test]
    fn longs_pay_and_shorts_receive_at_a_rate_above_zero() {
        let perp = instrument(PERP);
        let mut inverse = perp.clone();
        inverse.kind = InstrumentKind::Inverse;
        inverse.multiplier = Rate(Decimal::ONE);
        let rate = Rate(decimal("0.0001"));
        let of = |instrument: &Instrument, quantity: i64, price: &str| {
            let mark = instrument.price(price).unwrap();
            let paid = payment(instrument, quantity, mark, rate).unwrap();
            let same = payment_at(instrument, quantity, decimal(price), rate);
            assert_eq!(Ok(paid), same);
            paid.0
        };
        let unit = perp.quantity("1").unwrap().0;
        let worth = perp.multiplier.0 * decimal("100.5");
        assert_eq!(of(&perp, unit, "100.5"), -worth * rate.0);
        assert_eq!(of(&perp, -unit, "100.5"), worth * rate.0);
        // 100,000 contracts of 1 USD at 11,000 are 9.09090909 of base.
        let contracts = inverse.quantity("100000").unwrap().0;
        assert_eq!(of(&inverse, -contracts, "11000"), decimal("0.00090909"));
        assert_eq!(of(&inverse, contracts, "11000"), decimal("-0.00090909"));
    }
}
