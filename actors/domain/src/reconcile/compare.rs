//! Finds what differs between an account and a snapshot. Decides nothing.

use super::difference::{Difference, OrderFigures};
use super::snapshot::{ExecutionPart, Part, VenueBalance, VenueOpenOrder, VenuePosition};
use crate::account::{Account, ExecutionRecord, NO_ANSWER_NS};
use crate::event::{AccountMode, PositionMode};
use crate::id::{ClientOrderId, Currency, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::market::Side;
use crate::money::Money;
use crate::number::{Decimal, NumberError, Price, Quantity};
use crate::order::PositionSide;
use crate::order::entry::OrderEntry;
use crate::portfolio::Portfolio;
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use crate::venue::Execution;
use std::collections::{BTreeMap, BTreeSet};

/// How far a venue's clock may lie ahead of ours. Executions are kept in the order of booking,
/// by our clock, and looked for by the venue's; an hour also covers one that is off by a summer
/// time.
const CLOCK_SKEW_NS: i64 = 3_600 * NANOS_PER_SECOND;

/// What begins the id of an execution that reconciliation made up.
pub(crate) const SYNTHETIC: &str = "RECON-";

/// What begins the id of an execution that settles a position in a contract that has ended.
pub(crate) const SETTLEMENT: &str = "SETTLE-";

/// Returns whether reconciliation made this execution up.
pub(crate) fn is_synthetic(execution: &Execution) -> bool {
    is_own(execution, SYNTHETIC)
}

/// Returns whether this execution settles a position.
pub(crate) fn is_settlement(execution: &Execution) -> bool {
    is_own(execution, SETTLEMENT)
}

/// No venue names an execution of ours by its own order.
fn is_own(execution: &Execution, prefix: &str) -> bool {
    let id = execution.exec_id.as_str();
    id.starts_with(prefix) && execution.client_order_id.as_str() == id
}

/// Returns whether the venue knows nothing of this execution.
fn is_made_up(execution: &Execution) -> bool {
    is_synthetic(execution) || is_settlement(execution)
}

/// Returns the executions that are not here, as the venue orders them.
pub(crate) fn missing_executions(account: &Account, part: &ExecutionPart) -> Vec<Execution> {
    let rows = part.rows.iter();
    rows.filter(|execution| !account.has_seen(execution))
        .cloned()
        .collect()
}

/// Returns the executions that are booked here and that the venue, whose list covers their time,
/// does not have. One of the list's last moment may have come just after it.
pub(crate) fn executions_unknown_at_venue(
    account: &Account,
    part: &ExecutionPart,
) -> Vec<Difference> {
    unlisted(account, part)
        .map(|execution| Difference::ExecutionMissingAtVenue {
            exec_id: execution.exec_id.clone(),
            instrument_id: execution.instrument_id.clone(),
        })
        .collect()
}

fn unlisted<'a>(
    account: &'a Account,
    part: &'a ExecutionPart,
) -> impl Iterator<Item = &'a Execution> {
    let listed: BTreeSet<_> = part
        .rows
        .iter()
        .map(|row| (&row.exec_id, &row.instrument_id))
        .collect();
    recent(account, part.since)
        .filter(|record| !record.busted && !is_made_up(&record.execution))
        .map(|record| &record.execution)
        .filter(|execution| execution.ts_event >= part.since && execution.ts_event < part.ts)
        .filter(move |execution| !listed.contains(&(&execution.exec_id, &execution.instrument_id)))
}

/// Returns true when executions that the venue does not list may explain a difference: it took
/// them back, and has not said so yet. A position has to differ by exactly those of its
/// instrument.
pub(crate) fn awaits_busts(
    account: &Account,
    part: &ExecutionPart,
    difference: &Difference,
) -> bool {
    match difference {
        Difference::Position {
            instrument_id,
            side,
            ours,
            venue,
            ..
        } => {
            let is_of_side = |row: &&Execution| match side {
                None => true,
                Some(side) => account.position_side_of(&row.client_order_id) == *side,
            };
            let theirs = unlisted(account, part)
                .filter(|row| row.instrument_id == *instrument_id)
                .filter(is_of_side);
            let signed = theirs.map(|row| row.side.sign() * row.last_quantity.0);
            let sum: i128 = signed.map(i128::from).sum();
            sum != 0 && sum == i128::from(*ours) - i128::from(*venue)
        }
        Difference::Balance { .. } => unlisted(account, part).next().is_some(),
        _ => false,
    }
}

/// Returns the executions that were booked since about `since`, by the venue's clock.
fn recent(account: &Account, since: UnixNanos) -> impl Iterator<Item = &ExecutionRecord> {
    let executions = account.executions();
    let from = since.plus(-CLOCK_SKEW_NS);
    let start = executions.partition_point(|record| record.ts < from);
    executions[start..].iter()
}

/// Returns true when an execution of the instrument, or the bust of one, is not older than the
/// moment of a part, which then may lack it. `None` is any instrument.
pub(crate) fn younger_than(
    account: &Account,
    ts: UnixNanos,
    instrument_id: Option<&InstrumentId>,
) -> bool {
    let traded = recent(account, ts)
        .map(|record| &record.execution)
        .filter(|execution| !is_made_up(execution))
        .filter(|execution| instrument_id.is_none_or(|id| *id == execution.instrument_id))
        .any(|execution| execution.ts_event >= ts);
    traded || account.has_busted_since(ts, instrument_id)
}

/// Compares the open orders of both sides. What was sent or reported after the list was made is
/// no difference yet.
pub(crate) fn orders(
    account: &Account,
    part: &Part<VenueOpenOrder>,
    requested_at: UnixNanos,
) -> Vec<Difference> {
    let store = account.order_store();
    let mut listed: BTreeSet<&ClientOrderId> = BTreeSet::new();
    let mut found = Vec::new();
    for row in &part.rows {
        let id = row.client_order_id.as_ref();
        let index = id.and_then(|id| store.find_reported(id));
        let (Some(index), Some(id)) = (index, id) else {
            let order = Box::new(row.clone());
            found.push(Difference::OrderUnknownHere {
                order,
                ended: false,
            });
            continue;
        };
        listed.insert(id);
        let entry = store.get(index);
        if entry.is_working() && *id == entry.wire_id() {
            found.extend(terms(entry, row, part.ts));
        } else if entry.venue_ts < part.ts {
            let order = Box::new(row.clone());
            found.push(Difference::OrderUnknownHere { order, ended: true });
        }
    }
    for index in store.working() {
        let entry = store.get(*index);
        let request = &entry.order.request;
        // Without any answer yet it may still be on its way there.
        let way_ns = if entry.is_acknowledged() {
            0
        } else {
            NO_ANSWER_NS
        };
        let had_arrived = entry.submitted_at.plus(way_ns) < requested_at;
        let is_there = !entry.is_home() && !entry.is_between_slices();
        let is_covered = is_there && had_arrived && entry.venue_ts < part.ts;
        if is_covered && !listed.contains(&entry.wire_id()) {
            found.push(Difference::OrderUnknownAtVenue {
                client_order_id: request.client_order_id.clone(),
                instrument_id: request.instrument_id.clone(),
            });
        }
    }
    found
}

/// Returns true when an order of the instrument works here that the venue does not list, and was
/// heard of since: no difference yet, and what became of it may explain the position.
pub(crate) fn has_unlisted_order(
    account: &Account,
    part: &Part<VenueOpenOrder>,
    instrument_id: &InstrumentId,
) -> bool {
    let store = account.order_store();
    let entries = store
        .working_of(instrument_id)
        .map(|index| store.get(index));
    let mut unsure = entries.filter(|entry| {
        let is_there = !entry.is_home() && !entry.is_between_slices();
        is_there && entry.is_acknowledged() && entry.venue_ts >= part.ts
    });
    let is_listed = |id: &ClientOrderId| {
        let mut rows = part.rows.iter();
        rows.any(|row| row.client_order_id.as_ref() == Some(id))
    };
    unsure.any(|entry| !is_listed(&entry.wire_id()))
}

/// Compares the figures of an order that is open on both sides: of an iceberg that goes there in
/// parts those of the part. A price that the venue does not
/// tell is not compared.
fn terms(entry: &OrderEntry, row: &VenueOpenOrder, ts: UnixNanos) -> Option<Difference> {
    let order = &entry.order;
    let ours = OrderFigures {
        quantity: entry.slice.map_or(order.quantity, |it| it.quantity),
        limit_price: order.limit_price,
        stop_price: order.stop_price,
        filled_quantity: entry.slice.map_or(order.filled_quantity, |it| it.filled),
    };
    let venue = OrderFigures {
        quantity: row.quantity,
        limit_price: row.limit_price.or(ours.limit_price),
        stop_price: row.stop_price.or(ours.stop_price),
        filled_quantity: row.filled_quantity,
    };
    // Some venues count what they took back, others do not.
    let with_busted = ours.filled_quantity.saturating_add(entry.busted_at_venue());
    let is_same = OrderFigures {
        filled_quantity: ours.filled_quantity,
        ..venue
    } == ours
        && [ours.filled_quantity, with_busted].contains(&venue.filled_quantity);
    if is_same || entry.venue_ts >= ts {
        return None;
    }
    Some(Difference::OrderTerms {
        client_order_id: order.request.client_order_id.clone(),
        instrument_id: order.request.instrument_id.clone(),
        ours,
        venue,
    })
}

/// A position as it is compared: an instrument, and which side where they are told apart.
type Compared<'a> = (&'a InstrumentId, Option<PositionSide>);

/// Compares positions, all strategies together: each side of a hedging account by itself where
/// the venue tells them `by_side`, else their difference. A contract that the venue does not list is
/// flat there; a spot asset that it does not list is compared as a balance.
pub(crate) fn positions(
    account: &Account,
    part: &Part<VenuePosition>,
    by_side: bool,
) -> Vec<Difference> {
    let by_side = by_side && account.position_mode() == PositionMode::Hedging;
    let key = |id, side| (id, by_side.then_some(side));
    let mut venue: BTreeMap<Compared<'_>, (i128, Option<Price>)> = BTreeMap::new();
    for row in &part.rows {
        let found = venue.entry(key(&row.instrument_id, row.position_side));
        let (sum, price) = found.or_default();
        *sum += i128::from(row.side.sign()) * i128::from(row.quantity.0);
        *price = price.or(row.average_price);
    }
    let held = account.portfolio().positions();
    for position in held.filter(|position| !position.is_flat()) {
        let id = &position.instrument_id;
        let instrument = account.instruments().get(id);
        let is_contract = instrument.is_some_and(|it| it.kind != InstrumentKind::Spot);
        if is_contract {
            venue.entry(key(id, position.side)).or_default();
        }
    }
    // What is left of a contract that has ended is settled, on both sides in their own time.
    let has_ended = |id: &InstrumentId| {
        let instrument = account.instruments().get(id);
        account.mode() != Some(AccountMode::Live)
            && instrument.is_some_and(|instrument| instrument.is_expired(part.ts))
    };
    let rows = venue.into_iter().filter(|((id, _), _)| !has_ended(id));
    rows.filter_map(|((instrument_id, side), (quantity, price))| {
        let ours = match side {
            None => account.net_position(instrument_id),
            Some(side) => account.side_position(instrument_id, side),
        };
        // Beyond what a position can hold it is cut, still differs, and cannot be booked.
        let quantity = quantity.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        (quantity != ours).then(|| Difference::Position {
            instrument_id: instrument_id.clone(),
            side,
            ours,
            venue: quantity,
            price,
        })
    })
    .collect()
}

/// Compares balances. An asset that is held as a spot position counts with the cash in it, as
/// the venue counts it.
pub(crate) fn balances(
    account: &Account,
    part: &Part<VenueBalance>,
    tolerance: &BTreeMap<Currency, Money>,
) -> Vec<Difference> {
    let mut venue: BTreeMap<&Currency, Result<Money, NumberError>> = BTreeMap::new();
    for row in &part.rows {
        let sum = venue.entry(&row.currency).or_insert(Ok(Money::ZERO));
        *sum = sum.clone().and_then(|sum| sum.checked_add(row.amount));
    }
    let ours = holdings(account.portfolio(), account.venue_cash(), |id| {
        account.instruments().get(id)
    });
    for currency in ours.keys() {
        venue.entry(currency).or_insert(Ok(Money::ZERO));
    }
    let mut found = Vec::new();
    for (currency, theirs) in venue {
        let mine = ours.get(currency).cloned().unwrap_or(Ok(Money::ZERO));
        // A sum that no number holds is not compared: nothing could be booked for it.
        let (Ok(mine), Ok(theirs)) = (mine, theirs) else {
            continue;
        };
        let dust = tolerance.get(currency).copied().unwrap_or_default();
        let gap = theirs.checked_sub(mine).unwrap_or(theirs);
        if gap.0.abs() > dust.0 {
            found.push(Difference::Balance {
                currency: currency.clone(),
                ours: mine,
                venue: theirs,
            });
        }
    }
    found
}

/// Returns what is held of each currency: cash, and spot positions in it.
pub(crate) fn holdings<'a>(
    portfolio: &Portfolio,
    cash: BTreeMap<Currency, Result<Money, NumberError>>,
    instrument: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
) -> BTreeMap<Currency, Result<Money, NumberError>> {
    let mut sums = cash;
    let mut add = |currency: &Currency, amount: Money| {
        let sum = sums.entry(currency.clone()).or_insert(Ok(Money::ZERO));
        *sum = sum.clone().and_then(|sum| sum.checked_add(amount));
    };
    for (instrument_id, net) in portfolio.nets() {
        let Some(instrument) = instrument(instrument_id) else {
            continue;
        };
        if instrument.kind == InstrumentKind::Spot {
            let decimals = u32::from(instrument.quantity_decimals);
            let amount = Money(Decimal::new(net.quantity, decimals));
            add(&instrument.base_currency, amount);
        }
    }
    sums
}

/// Returns the signed trades that bring a position from one size to another: through zero it is
/// one that closes and one that opens.
///
/// Errors: a trade is larger than a quantity can be.
pub(crate) fn legs(ours: i64, venue: i64) -> Result<Vec<(Side, Quantity)>, NumberError> {
    let crosses = (ours < 0) != (venue < 0) && ours != 0 && venue != 0;
    let trades = if crosses {
        vec![-i128::from(ours), i128::from(venue)]
    } else {
        vec![i128::from(venue) - i128::from(ours)]
    };
    let legs = trades.into_iter().filter(|trade| *trade != 0);
    legs.map(|trade| {
        let side = if trade < 0 { Side::Sell } else { Side::Buy };
        let size = i64::try_from(trade.unsigned_abs()).map_err(|_| NumberError::OutOfRange)?;
        Ok((side, Quantity(size)))
    })
    .collect()
}
