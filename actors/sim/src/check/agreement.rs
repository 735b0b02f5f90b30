//! When the faults are over, both sides have the same orders, fills, positions and cash.

use crate::node::Disk;
use crate::venue::{Ledger, VenueOrder};
use apex_domain::number::Decimal;
use apex_domain::order::{Order, OrderKey, OrderStatus, PositionSide};
use apex_domain::risk::{ReasonCode, TradingState};
use apex_domain::venue::VenueStatus;
use apex_domain::{Account, ClientOrderId, InstrumentId, OrderId, invariant};
use std::collections::{BTreeMap, BTreeSet};

mod cash;

/// Orders, fills, positions and cash are what the venue says.
pub fn both_sides_agree(account: &Account, ledger: &Ledger, disk: &Disk) -> Result<(), String> {
    invariant::check_account(account).map_err(|violation| violation.to_string())?;
    all_orders_agree(account, ledger, &disk.sent())?;
    positions_agree(account, ledger)?;
    cash::agrees(account, ledger, disk)
}

fn all_orders_agree(
    account: &Account,
    ledger: &Ledger,
    sent: &BTreeSet<OrderId>,
) -> Result<(), String> {
    let slices = slices(account, ledger);
    let cut: BTreeSet<&ClientOrderId> = slices.values().flatten().map(|(id, _)| *id).collect();
    for (order_id, slices) in &slices {
        let key = OrderKey::OrderId((*order_id).clone());
        let ours = account.order(&key).ok_or("a slice is of no order")?;
        let theirs: Vec<&VenueOrder> = slices.iter().map(|(_, theirs)| *theirs).collect();
        slices_agree(ours, &theirs, account.trading_state())?;
    }
    for (id, theirs) in ledger.orders.iter().filter(|(id, _)| !cut.contains(id)) {
        let ours = account.order(&OrderKey::ClientOrderId(id.clone()));
        let Some(ours) = ours else {
            return Err(format!("the venue has order {id}, which was never durable"));
        };
        orders_agree(ours, theirs)?;
    }
    for order in account.orders() {
        let id = &order.request.client_order_id;
        let ended_lost = match order.status {
            // While trading is halted a lost order is not sent again.
            OrderStatus::Canceled => matches!(
                order.reason_code,
                Some(ReasonCode::NotAtVenue | ReasonCode::CanceledByRisk)
            ),
            // Nor is one whose time is over.
            OrderStatus::Expired => order.reason_code == Some(ReasonCode::TimeOver),
            _ => false,
        };
        let never_there =
            !sent.contains(&order.order_id) || (ended_lost && order.venue_order_id.is_none());
        if !sent.contains(&order.order_id) && ledger.orders.contains_key(id) {
            return Err(format!("order {id} is at the venue and was never sent"));
        }
        if !never_there && !ledger.orders.contains_key(id) && !slices.contains_key(&order.order_id)
        {
            return Err(format!(
                "order {id} is {:?} and not at the venue",
                order.status
            ));
        }
    }
    Ok(())
}

/// Orders at the venue that are parts of one here, by its id, in their order.
type Slices<'a> = BTreeMap<&'a OrderId, Vec<(&'a ClientOrderId, &'a VenueOrder)>>;

fn slices<'a>(account: &'a Account, ledger: &'a Ledger) -> Slices<'a> {
    let mut slices = Slices::new();
    for order in account.orders() {
        let Some((_, created)) = order.order_id.as_str().rsplit_once('-') else {
            continue;
        };
        let ids = (1..).map(|number| ClientOrderId::new(&format!("ICE{created}-{number}")));
        let known = ids.map_while(|id| ledger.orders.get_key_value(&id.ok()?));
        let known: Vec<_> = known.collect();
        if !known.is_empty() {
            slices.insert(&order.order_id, known);
        }
    }
    slices
}

/// An iceberg and its parts: together they have its fills, only the last may work, and only what
/// ends that one early ends the order early.
fn slices_agree(ours: &Order, theirs: &[&VenueOrder], state: TradingState) -> Result<(), String> {
    let id = &ours.request.client_order_id;
    let filled: i64 = theirs.iter().map(|slice| slice.filled()).sum();
    if ours.filled_quantity.0 != filled {
        let ours = ours.filled_quantity.0;
        return Err(format!(
            "iceberg {id} has {ours} filled, its parts {filled}"
        ));
    }
    let Some((last, earlier)) = theirs.split_last() else {
        return Ok(());
    };
    if earlier.iter().any(|slice| slice.is_working()) {
        return Err(format!("iceberg {id} has more than one part that works"));
    }
    if !last.is_working() {
        // A bust makes a filled part a canceled one here, while the next may be held back.
        let held_back = last.status == VenueStatus::Canceled && state != TradingState::Active;
        let ended_early = last.status != VenueStatus::Filled && !held_back;
        return if ended_early && !ours.status.is_terminal() {
            Err(format!("iceberg {id} goes on behind a part that ended"))
        } else {
            Ok(())
        };
    }
    let open = last.quantity.0 - last.filled();
    let fits = open <= ours.leaves_quantity.0 && last.limit_price == ours.limit_price;
    if ours.status.is_terminal() || !fits {
        return Err(format!(
            "iceberg {id} shows {open} at {:?}, here {:?} of {} at {:?}",
            last.limit_price, ours.status, ours.leaves_quantity.0, ours.limit_price
        ));
    }
    Ok(())
}

fn orders_agree(ours: &Order, theirs: &VenueOrder) -> Result<(), String> {
    let id = &ours.request.client_order_id;
    let status_agrees = match theirs.status {
        VenueStatus::Working => {
            matches!(
                ours.status,
                OrderStatus::Accepted | OrderStatus::PartiallyFilled | OrderStatus::Triggered
            )
        }
        VenueStatus::Filled => ours.status == OrderStatus::Filled,
        // A late fill of all that was canceled makes it filled here, and a cancel because its
        // time was over makes it expired.
        VenueStatus::Canceled => {
            matches!(ours.status, OrderStatus::Canceled | OrderStatus::Filled)
                || (ours.status == OrderStatus::Expired
                    && ours.reason_code == Some(ReasonCode::TimeOver))
        }
        // Filled here before a fill was taken back, it ended by that before the end was told.
        VenueStatus::Expired => {
            ours.status == OrderStatus::Expired
                || (ours.status == OrderStatus::Canceled
                    && ours.reason_code == Some(ReasonCode::ExecutionBusted))
        }
        VenueStatus::Rejected => ours.status == OrderStatus::Rejected,
    };
    let by_hand = theirs.by_hand && !theirs.is_working() && ours.status.is_terminal();
    if !status_agrees && !by_hand {
        return Err(format!(
            "order {id} is {:?}, at the venue {:?}",
            ours.status, theirs.status
        ));
    }
    if ours.filled_quantity.0 != theirs.filled() {
        let (ours, theirs) = (ours.filled_quantity.0, theirs.filled());
        return Err(format!(
            "order {id} has {ours} filled, at the venue {theirs}"
        ));
    }
    let works = theirs.status == VenueStatus::Working;
    let terms_agree = ours.quantity == theirs.quantity && ours.limit_price == theirs.limit_price;
    if works && !terms_agree {
        return Err(format!(
            "order {id} has other quantity or price at the venue"
        ));
    }
    Ok(())
}

/// Each position of a contract, by the side that its orders meant, is the venue's.
fn positions_agree(account: &Account, ledger: &Ledger) -> Result<(), String> {
    let mut theirs = ledger.positions();
    let mut ours: BTreeMap<(InstrumentId, PositionSide), i64> = BTreeMap::new();
    for position in account.positions() {
        if ledger.instruments[&position.instrument_id].settles_profit() {
            let key = (position.instrument_id.clone(), position.side);
            *ours.entry(key).or_default() += position.quantity;
        }
    }
    ours.retain(|_, quantity| *quantity != 0);
    theirs.retain(|_, quantity| *quantity != 0);
    if ours != theirs {
        return Err(format!("positions are {ours:?}, at the venue {theirs:?}"));
    }
    Ok(())
}

/// Returns a mantissa of an instrument's quantity as a number.
fn quantity(ledger: &Ledger, id: &InstrumentId, mantissa: i64) -> Decimal {
    let decimals = ledger.instruments[id].quantity_decimals;
    Decimal::new(mantissa, u32::from(decimals))
}
