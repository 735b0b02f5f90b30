//! What must hold: between steps, after a crash, and when the faults are over.

use crate::clients::Clients;
use crate::instruments::{HIGHEST_PRICE, LOWEST_PRICE};
use crate::member::Member;
use crate::node::{Disk, Node};
use crate::setting::{Funds, Setting};
use crate::venue::Ledger;
use apex_domain::event::CloseOutcome;
use apex_domain::instrument::InstrumentKind;
use apex_domain::number::Decimal;
use apex_domain::order::{OrderKey, PositionSide};
use apex_domain::reconcile::{DifferenceState, Resolution};
use apex_domain::{Account, Money, Quantity, UnixNanos};
use std::collections::BTreeMap;

mod agreement;
mod decisions;
mod moments;

pub use agreement::both_sides_agree;
pub use decisions::Before;
pub use moments::{Gate, Moments, none_waits_too_long};

/// No decision was made that may not be, an honest venue never gives a reason to halt, and no order
/// is there twice.
pub fn after_each_step(node: &Node, ledger: &Ledger, setting: &Setting) -> Result<(), String> {
    if let Some(what) = &node.forbidden {
        return Err(what.clone());
    }
    if let Some(client_order_id) = &ledger.doubled {
        return Err(format!("order {client_order_id} exists twice at the venue"));
    }
    if let Some(reason) = &node.halted_itself
        && !is_expected(reason, setting)
    {
        return Err(format!("the account halted at an honest venue: {reason}"));
    }
    Ok(())
}

/// What the venue has stays within the account's bounds. It changes by what the venue logs only.
pub fn after_each_report(ledger: &Ledger, setting: &Setting) -> Result<(), String> {
    exposure_holds(ledger, setting)?;
    cover_holds(ledger, setting)
}

/// A loss limit is meant to stop the account, and so are trades that nobody ordered.
fn is_expected(reason: &str, setting: &Setting) -> bool {
    let lost = reason.starts_with("LOSS_LIMIT") || reason.starts_with("DRAWDOWN_LIMIT");
    let surprises = [
        "is of no order of this account",
        "was overfilled",
        "cannot be booked",
    ];
    let surprised = surprises.iter().any(|text| reason.contains(text));
    (lost && setting.loss_limits) || (surprised && setting.foreign)
}

/// At no moment could the orders that reached the venue make a position beyond the limit.
fn exposure_holds(ledger: &Ledger, setting: &Setting) -> Result<(), String> {
    let Some(limit) = setting.position_limit else {
        return Ok(());
    };
    let sides: &[PositionSide] = if setting.hedging {
        &[PositionSide::Net, PositionSide::Long, PositionSide::Short]
    } else {
        &[PositionSide::Net]
    };
    for (id, instrument) in ledger.instruments.iter() {
        // Orders are measured at the price of their moment, which is never worth less.
        let price = match instrument.kind {
            InstrumentKind::Inverse => HIGHEST_PRICE,
            InstrumentKind::Spot | InstrumentKind::Linear => LOWEST_PRICE,
        };
        for side in sides {
            let (long, short) = ledger.worst_positions(id, *side);
            let worst = Quantity(long.max(-short));
            let notional = instrument.notional(price, worst);
            let notional = notional.map_err(|error| error.to_string())?;
            if notional > Money(Decimal::from(limit)) {
                return Err(format!(
                    "{id} could reach {notional} at the venue, {limit} is the limit"
                ));
            }
        }
    }
    Ok(())
}

/// At no moment could the orders that reached the venue cost what is not there. Strangers may
/// take away what was counted on.
fn cover_holds(ledger: &Ledger, setting: &Setting) -> Result<(), String> {
    if setting.funds != Funds::Cash || setting.foreign {
        return Ok(());
    }
    let mut worst = ledger.worst_balances().into_iter();
    match worst.find(|(_, amount)| *amount < Decimal::ZERO) {
        Some((unit, amount)) => Err(format!(
            "{unit} could fall to {amount} by the orders at the venue"
        )),
        None => Ok(()),
    }
}

pub fn answered_orders_are_there(account: &Account, clients: &Clients) -> Result<(), String> {
    for asked in clients.answered() {
        let id = &asked.client_order_id;
        let order = account.order(&OrderKey::ClientOrderId(id.clone()));
        match order {
            Some(order) if order.request == *asked => {}
            Some(_) => return Err(format!("answered order {id} has other content now")),
            None => return Err(format!("answered order {id} is gone")),
        }
    }
    Ok(())
}

/// Returns what the last snapshot, taken after `since`, still shows; orders of strangers stay.
/// `None` until there is such a snapshot.
pub fn differences(account: &Account, since: UnixNanos) -> Option<Vec<String>> {
    let report = account.reconciler().report().filter(|it| it.ts >= since)?;
    let open = report.found.iter().filter(|found| {
        found.state != DifferenceState::Resolved && found.resolution != Resolution::Listed
    });
    Some(open.map(|found| format!("{found:?}")).collect())
}

/// Nothing is made up where nobody but the account trades in it. Without lists of executions a
/// bust that is still on its way cannot be told from a trade of somebody else: what was made up
/// for it is taken back again when it has come. A balance that was moved for a payment of funding
/// that came late is moved back.
pub fn nothing_is_made_up(disk: &Disk, setting: &Setting) -> Result<(), String> {
    let (executions, moved) = disk.made_up();
    if setting.foreign || (executions.is_empty() && moved.is_empty()) {
        return Ok(());
    }
    let lists = setting.snapshots.as_ref().is_some_and(|it| it.executions);
    let mut sums = BTreeMap::<_, i64>::new();
    for execution in &executions {
        let signed = execution.side.sign() * execution.last_quantity.0;
        *sums.entry(&execution.instrument_id).or_default() += signed;
    }
    let is_undone = sums.values().all(|sum| *sum == 0);
    if !lists && moved.is_empty() && is_undone && disk.has_busts_after(0) {
        return Ok(());
    }
    Err(format!(
        "reconciliation moved balances ({moved:?}) or made up {executions:?}"
    ))
}

/// What the last closing called flat is flat, unless something traded behind it, late or by
/// strangers, or was taken back.
pub fn closed_positions_are_flat(member: &Member, setting: &Setting) -> Result<(), String> {
    let account = &member.node.account;
    let closed = member
        .last_close
        .and_then(|taken| member.node.disk.closed(taken));
    let Some((sequence, CloseOutcome::Flat)) = closed else {
        return Ok(());
    };
    let has_traded = !account.executions_after(sequence).is_empty();
    if setting.foreign || has_traded || member.node.disk.has_busts_after(sequence) {
        return Ok(());
    }
    let mut open = account.positions().filter(|position| !position.is_flat());
    match open.next() {
        Some(position) => Err(format!("closed, and yet there is {position:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments;
    use crate::venue::Venue;
    use apex_domain::account::{AccountInput, Effects};
    use apex_domain::market::Side;
    use apex_domain::venue::{Execution, VenueReport};
    use apex_domain::{ClientOrderId, ExecId, Price};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::sync::Arc;

    #[test]
    fn a_fill_that_only_one_side_has_is_found() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let setting = Setting::draw(1, &mut rng);
        let instruments = Arc::new(instruments::instruments(setting.sessions, setting.poor));
        let mut node = Node::new(UnixNanos(0));
        for input in setting.opening_inputs(0, &instruments, &mut rng) {
            node.apply(UnixNanos(0), input, None);
        }
        node.flush();
        let venue = Venue::new(&setting, &instruments, true);
        let agree = |account: &Account| both_sides_agree(account, &venue.ledgers[0], &node.disk);
        assert_eq!(agree(&node.account), Ok(()));
        let stray = AccountInput::Report {
            venue_sequence: 1,
            report: VenueReport::Filled(Execution {
                exec_id: ExecId::new("x").unwrap(),
                client_order_id: ClientOrderId::new("stranger").unwrap(),
                instrument_id: instruments::id(instruments::PERP),
                side: Side::Buy,
                last_quantity: Quantity(1),
                last_price: Price(1),
                fee: Money::ZERO,
                fee_currency: instruments::currency("USDT"),
                maker: false,
                ts_event: UnixNanos(0),
            }),
        };
        let mut account = node.account.clone();
        account.apply(UnixNanos(0), stray, &mut Effects::default());
        assert!(agree(&account).is_err());
    }
}
