//! Where an order works: at its venue, or here until its condition is met.

use super::{OrderType, SubmitOrder, TimeInForce};
use crate::calendar::Calendar;
use crate::instrument::Instrument;

/// Where an order works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The venue does all of it.
    Venue,
    /// The account holds it until it triggers, or until the opening or the close it is for.
    Home,
    /// Neither can; why, for a person.
    Nowhere(&'static str),
}

/// Returns where an order of this instrument works.
pub fn placement(instrument: &Instrument, request: &SubmitOrder) -> Placement {
    let lacks = &instrument.rules.lacks;
    let misses = |order_type: OrderType| lacks.order_types.contains(&order_type);
    let auction = request.time_in_force.is_auction();
    let calendar = Calendar::shared(&instrument.rules.calendar);
    if auction && !calendar.is_some_and(Calendar::has_breaks) {
        return Placement::Nowhere(
            "the instrument trades around the clock, so it has no opening and no close; \
             send it as GTC, DAY or IOC",
        );
    }
    let timed = auction && lacks.times_in_force.contains(&request.time_in_force);
    if timed && lacks.times_in_force.contains(&TimeInForce::Ioc) {
        return Placement::Nowhere(
            "the venue takes no orders for the opening or the close, and no IOC as which the \
             platform would send one at that time; send it as DAY",
        );
    }
    if request.time_in_force == TimeInForce::Fok && lacks.times_in_force.contains(&TimeInForce::Fok)
    {
        return Placement::Nowhere("the venue has no fill-or-kill");
    }
    if request.terms.display_quantity.is_some() && lacks.iceberg {
        let shown = request.terms.display_quantity;
        let too_small = request.limit_price.is_none_or(|price| {
            let smallest = instrument.smallest_orderable(price);
            smallest.is_err() || shown < smallest.ok()
        });
        if too_small {
            return Placement::Nowhere(
                "the venue has no iceberg orders, and a part of this display quantity is too \
                 small for an order of its own; show more",
            );
        }
    }
    if request.post_only && lacks.post_only {
        return Placement::Nowhere("the venue has no post-only orders");
    }
    if !misses(request.order_type) {
        return if timed {
            Placement::Home
        } else {
            Placement::Venue
        };
    }
    let becomes = request.order_type.triggered();
    if request.order_type.is_conditional() && !misses(becomes) {
        Placement::Home
    } else {
        Placement::Nowhere("the venue does not take this order type")
    }
}

/// Returns true for an iceberg at a venue that has none: it goes there in parts, one after the
/// other.
pub fn is_sliced(instrument: &Instrument, request: &SubmitOrder) -> bool {
    instrument.rules.lacks.iceberg && request.terms.display_quantity.is_some()
}

/// Returns true when the account itself ends the order at its time: a DAY or GTD order goes to a
/// venue that lacks them as GTC.
pub fn expires_here(instrument: &Instrument, time_in_force: TimeInForce) -> bool {
    let dated = matches!(time_in_force, TimeInForce::Day | TimeInForce::Gtd);
    dated
        && instrument
            .rules
            .lacks
            .times_in_force
            .contains(&time_in_force)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::support::{SPOT, instrument, limit};
    use crate::instrument::Lacks;
    use crate::market::Side;
    use crate::number::Quantity;

    #[test]
    fn what_a_venue_lacks_is_done_here_or_refused_with_its_reason() {
        let mut plain = instrument(SPOT);
        plain.rules.calendar = "XNYS".to_owned();
        let bare = Instrument {
            rules: crate::instrument::InstrumentRules {
                lacks: Lacks {
                    order_types: vec![
                        OrderType::Stop,
                        OrderType::StopLimit,
                        OrderType::TrailingStop,
                        OrderType::MarketToLimit,
                    ],
                    times_in_force: vec![TimeInForce::Day, TimeInForce::Fok, TimeInForce::AtOpen],
                    iceberg: true,
                    post_only: true,
                    reduce_only: true,
                    linked_orders: true,
                },
                ..plain.rules.clone()
            },
            ..plain.clone()
        };
        let place = |change: fn(&mut SubmitOrder)| {
            let mut request = limit("a", SPOT, Side::Buy, 1, 1);
            change(&mut request);
            assert_eq!(placement(&plain, &request), Placement::Venue);
            placement(&bare, &request)
        };
        assert_eq!(place(|_| {}), Placement::Venue);
        assert_eq!(place(|r| r.order_type = OrderType::Stop), Placement::Home);
        assert_eq!(
            place(|r| r.order_type = OrderType::TrailingStop),
            Placement::Home
        );
        assert_eq!(
            place(|r| r.order_type = OrderType::LimitIfTouched),
            Placement::Venue
        );
        assert_eq!(
            place(|r| r.time_in_force = TimeInForce::AtOpen),
            Placement::Home
        );
        let refused: [fn(&mut SubmitOrder); 4] = [
            |r| r.order_type = OrderType::MarketToLimit,
            |r| r.time_in_force = TimeInForce::Fok,
            |r| r.post_only = true,
            |r| r.terms.display_quantity = Some(Quantity(1)),
        ];
        for change in refused {
            assert!(matches!(place(change), Placement::Nowhere(_)));
        }
        let mut barer = bare.clone();
        barer.rules.lacks.times_in_force.push(TimeInForce::Ioc);
        let mut request = limit("a", SPOT, Side::Buy, 1, 1);
        request.time_in_force = TimeInForce::AtOpen;
        assert!(
            matches!(placement(&barer, &request), Placement::Nowhere(why) if why.contains("IOC"))
        );
        assert!(expires_here(&bare, TimeInForce::Day));
        assert!(!expires_here(&bare, TimeInForce::Gtd));
        assert!(!expires_here(&bare, TimeInForce::Gtc));
    }
    #[test]
    fn an_order_for_an_auction_needs_a_market_that_closes() {
        let mut instrument = instrument(SPOT);
        let mut request = limit("a", SPOT, Side::Buy, 1, 1);
        for (calendar, auctions) in [
            ("", false),
            ("CRYPTO", false),
            ("FX", true),
            ("XNYS", true),
            ("XLON", true),
        ] {
            instrument.rules.calendar = calendar.to_owned();
            for time_in_force in [TimeInForce::AtOpen, TimeInForce::AtClose] {
                request.time_in_force = time_in_force;
                let placed = placement(&instrument, &request);
                assert_eq!(placed == Placement::Venue, auctions, "{calendar}");
                if let Placement::Nowhere(why) = placed {
                    assert!(why.contains("around the clock"), "{why}");
                }
            }
        }
    }
}
