//! Differences between an account and its venue, and orders there that are not ours.

use super::{enums, text};
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::account::ForeignCancel;
use apex_domain::event::ForeignOrder;
use apex_domain::number::format_mantissa;
use apex_domain::reconcile::{
    Difference, DifferenceKind, DifferenceState, Found, OrderFigures, Resolution, VenueOpenOrder,
};
use apex_domain::{AccountId, Instrument, VenueOrderId};

/// Reads a wish to cancel orders that are not ours; who asks is not in it.
///
/// Errors: every field that cannot be read; no order named without `all`, or both.
pub fn read_cancel_foreign(
    request: &v1::CancelForeignOrdersRequest,
) -> Result<(AccountId, ForeignCancel), FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let account_id = text::account_id(f, &request.account_id);
    let request_id = text::request_id(f, &request.request_id);
    let reason = text::free(f, "reason", &request.reason);
    match (request.all, request.venue_order_ids.is_empty()) {
        (false, true) => f.refuse(
            "venue_order_ids",
            "names no order: name some as GetReconciliation lists them, or set all",
        ),
        (true, false) => f.refuse("venue_order_ids", "must be empty when all is set"),
        _ => {}
    }
    let ids = request.venue_order_ids.iter();
    let ids: Vec<Option<VenueOrderId>> = ids
        .map(|id| f.take("venue_order_ids", VenueOrderId::new(id)))
        .collect();
    let value = (|| {
        let cancel = ForeignCancel {
            request_id: Some(request_id?),
            venue_order_ids: ids.into_iter().collect::<Option<_>>()?,
            by: String::new(),
            reason: reason?,
        };
        Some((account_id?, cancel))
    })();
    fields.finish(value)
}

/// Writes an order that is not ours; without the instrument's definition its numbers are left
/// empty.
pub fn foreign_order(
    order: &VenueOpenOrder,
    cancel_requested: bool,
    instrument: Option<&Instrument>,
) -> v1::ForeignOrder {
    let (price, quantity) = writers(instrument);
    v1::ForeignOrder {
        side: enums::side(order.side).into(),
        quantity: quantity(order.quantity.0),
        filled_quantity: quantity(order.filled_quantity.0),
        limit_price: order.limit_price.map(|it| price(it.0)).unwrap_or_default(),
        cancel_requested,
        ..named(&ForeignOrder {
            venue_order_id: order.venue_order_id.clone(),
            client_order_id: order.client_order_id.clone(),
            instrument_id: order.instrument_id.clone(),
        })
    }
}

/// Writes which order it is, and nothing more.
pub fn named(order: &ForeignOrder) -> v1::ForeignOrder {
    v1::ForeignOrder {
        venue_order_id: order.venue_order_id.to_string(),
        client_order_id: order
            .client_order_id
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        instrument_id: order.instrument_id.to_string(),
        ..Default::default()
    }
}

/// Writes a difference; without the definition of its instrument numbers are left empty.
pub fn difference(found: &Found, instrument: Option<&Instrument>) -> v1::Difference {
    let (ours, venue) = sides(&found.difference, instrument);
    v1::Difference {
        kind: kind(found.difference.kind()).into(),
        subject: found.difference.subject(),
        ours,
        venue,
        state: match found.state {
            DifferenceState::Pending => v1::DifferenceState::Pending,
            DifferenceState::Confirmed => v1::DifferenceState::Confirmed,
            DifferenceState::Resolved => v1::DifferenceState::Resolved,
        }
        .into(),
        resolution: resolution(found.resolution).into(),
        age_ns: found.age_ns,
    }
}

fn kind(kind: DifferenceKind) -> v1::DifferenceKind {
    match kind {
        DifferenceKind::OrderUnknownHere => v1::DifferenceKind::OrderUnknownHere,
        DifferenceKind::OrderUnknownAtVenue => v1::DifferenceKind::OrderUnknownAtVenue,
        DifferenceKind::OrderTerms => v1::DifferenceKind::OrderTerms,
        DifferenceKind::ExecutionMissingHere => v1::DifferenceKind::ExecutionMissingHere,
        DifferenceKind::ExecutionMissingAtVenue => v1::DifferenceKind::ExecutionMissingAtVenue,
        DifferenceKind::Position => v1::DifferenceKind::Position,
        DifferenceKind::Balance => v1::DifferenceKind::Balance,
    }
}

fn resolution(resolution: Resolution) -> v1::DifferenceResolution {
    match resolution {
        Resolution::Waiting => v1::DifferenceResolution::Waiting,
        Resolution::Asked => v1::DifferenceResolution::Asked,
        Resolution::Booked => v1::DifferenceResolution::Booked,
        Resolution::Adjusted => v1::DifferenceResolution::Adjusted,
        Resolution::TakenOver => v1::DifferenceResolution::TakenOver,
        Resolution::CancelSent => v1::DifferenceResolution::CancelSent,
        Resolution::Listed => v1::DifferenceResolution::Listed,
        Resolution::Alarmed => v1::DifferenceResolution::Alarmed,
    }
}

/// Returns what each side has, as a person reads it.
fn sides(difference: &Difference, instrument: Option<&Instrument>) -> (String, String) {
    let (price, quantity) = writers(instrument);
    let figures = |figures: &OrderFigures| {
        let mut words = vec![format!(
            "{} filled of {}",
            quantity(figures.filled_quantity.0),
            quantity(figures.quantity.0)
        )];
        let prices = [("limit", figures.limit_price), ("stop", figures.stop_price)];
        for (name, at) in prices {
            words.extend(at.map(|at| format!("{name} {}", price(at.0))));
        }
        words.join(", ")
    };
    let nothing = String::new();
    match difference {
        Difference::OrderUnknownHere { ended: true, .. } => ("ended".into(), "working".into()),
        Difference::OrderUnknownHere { .. } => (nothing, "working".into()),
        Difference::OrderUnknownAtVenue { .. } => ("working".into(), nothing),
        Difference::OrderTerms { ours, venue, .. } => (figures(ours), figures(venue)),
        Difference::ExecutionMissingHere { .. } => (nothing, "executed".into()),
        Difference::ExecutionMissingAtVenue { .. } => ("executed".into(), nothing),
        Difference::Position { ours, venue, .. } => (quantity(*ours), quantity(*venue)),
        Difference::Balance { ours, venue, .. } => (ours.to_string(), venue.to_string()),
    }
}

/// Returns the instrument that a difference is about.
pub fn instrument_of(difference: &Difference) -> Option<&apex_domain::InstrumentId> {
    match difference {
        Difference::OrderUnknownHere { order, .. } => Some(&order.instrument_id),
        Difference::OrderUnknownAtVenue { instrument_id, .. }
        | Difference::OrderTerms { instrument_id, .. }
        | Difference::ExecutionMissingAtVenue { instrument_id, .. }
        | Difference::Position { instrument_id, .. } => Some(instrument_id),
        Difference::ExecutionMissingHere { execution } => Some(&execution.instrument_id),
        Difference::Balance { .. } => None,
    }
}

/// Returns what writes a price and a quantity of the instrument.
fn writers(instrument: Option<&Instrument>) -> (impl Fn(i64) -> String, impl Fn(i64) -> String) {
    let decimals = instrument.map(|it| (it.price_decimals, it.quantity_decimals));
    let write = |decimals: Option<u8>| {
        move |mantissa: i64| {
            let text = decimals.map(|decimals| format_mantissa(i128::from(mantissa), decimals));
            text.unwrap_or_default()
        }
    };
    (
        write(decimals.map(|it| it.0)),
        write(decimals.map(|it| it.1)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::{Currency, Money};

    fn request() -> v1::CancelForeignOrdersRequest {
        v1::CancelForeignOrdersRequest {
            account_id: "paper".into(),
            request_id: "r".into(),
            venue_order_ids: vec!["v-1".into()],
            all: false,
            reason: "left over".into(),
        }
    }

    #[test]
    fn orders_are_named_or_all_are_meant() {
        let (account_id, cancel) = read_cancel_foreign(&request()).unwrap();
        assert_eq!(account_id.as_str(), "paper");
        assert_eq!(cancel.venue_order_ids.len(), 1);
        for (ids, all) in [(vec![], false), (vec!["v-1"], true), (vec![""], false)] {
            let wrong = v1::CancelForeignOrdersRequest {
                venue_order_ids: ids.into_iter().map(str::to_owned).collect(),
                all,
                ..request()
            };
            let errors = read_cancel_foreign(&wrong).unwrap_err();
            assert_eq!(errors.errors()[0].field, "venue_order_ids");
        }
    }

    #[test]
    fn a_difference_says_what_each_side_has() {
        let money = |text| Money::parse(text).unwrap();
        let found = Found {
            difference: Difference::Balance {
                currency: Currency::new("USDT").unwrap(),
                ours: money("5"),
                venue: money("4.5"),
            },
            state: DifferenceState::Confirmed,
            resolution: Resolution::Adjusted,
            is_new: false,
            age_ns: 7,
        };
        let written = difference(&found, None);
        assert_eq!(
            (written.subject.as_str(), written.ours.as_str()),
            ("USDT", "5")
        );
        assert_eq!(written.venue, "4.5");
        assert_eq!(written.kind(), v1::DifferenceKind::Balance);
        assert_eq!(written.resolution(), v1::DifferenceResolution::Adjusted);
    }
}
