//! A strategy that is shown only some of the instruments.

use crate::context::Context;
use crate::error::ParameterError;
use crate::strategy::{BookUpdate, Strategy};
use crate::subscription::{Selection, Subscriptions};
use apex_domain::account::Refusal;
use apex_domain::event::Recorded;
use apex_domain::market::{Bar, FeedState, Quote, Trade};
use apex_domain::order::Order;
use apex_domain::{ClientOrderId, InstrumentId};
use std::collections::BTreeSet;

struct Narrowed {
    strategy: Box<dyn Strategy>,
    instruments: BTreeSet<InstrumentId>,
}

/// Returns the strategy with its subscriptions cut to `instruments`; an empty set cuts nothing.
pub fn narrowed(
    strategy: Box<dyn Strategy>,
    instruments: BTreeSet<InstrumentId>,
) -> Box<dyn Strategy> {
    if instruments.is_empty() {
        return strategy;
    }
    Box::new(Narrowed {
        strategy,
        instruments,
    })
}

impl Strategy for Narrowed {
    fn subscriptions(&self) -> Subscriptions {
        let own = self.strategy.subscriptions();
        let instruments = match &own.instruments {
            Selection::All => self.instruments.clone(),
            Selection::Only(ids) => ids & &self.instruments,
        };
        Subscriptions {
            instruments: Selection::Only(instruments),
            ..own
        }
    }

    fn on_start(&mut self, ctx: &mut Context<'_>) {
        self.strategy.on_start(ctx);
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, bar: &Bar) {
        self.strategy.on_bar(ctx, bar);
    }

    fn on_quote(&mut self, ctx: &mut Context<'_>, quote: &Quote) {
        self.strategy.on_quote(ctx, quote);
    }

    fn on_trade(&mut self, ctx: &mut Context<'_>, trade: &Trade) {
        self.strategy.on_trade(ctx, trade);
    }

    fn on_book(&mut self, ctx: &mut Context<'_>, update: BookUpdate<'_>) {
        self.strategy.on_book(ctx, update);
    }

    fn on_order(&mut self, ctx: &mut Context<'_>, order: &Order, event: &Recorded) {
        self.strategy.on_order(ctx, order, event);
    }

    fn on_refused(&mut self, ctx: &mut Context<'_>, id: &ClientOrderId, refusal: &Refusal) {
        self.strategy.on_refused(ctx, id, refusal);
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, tag: &str) {
        self.strategy.on_timer(ctx, tag);
    }

    fn on_feed_state(&mut self, ctx: &mut Context<'_>, state: &FeedState) {
        self.strategy.on_feed_state(ctx, state);
    }

    fn on_parameters(
        &mut self,
        ctx: &mut Context<'_>,
        parameters: &[(String, String)],
    ) -> Result<(), ParameterError> {
        self.strategy.on_parameters(ctx, parameters)
    }

    fn on_stop(&mut self, ctx: &mut Context<'_>) {
        self.strategy.on_stop(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Wants(Selection<InstrumentId>);

    impl Strategy for Wants {
        fn subscriptions(&self) -> Subscriptions {
            Subscriptions {
                instruments: self.0.clone(),
                ..Subscriptions::none()
            }
        }
    }

    #[test]
    fn what_it_declares_is_cut_and_never_widened() {
        let ids = |names: &[&str]| -> BTreeSet<InstrumentId> {
            names
                .iter()
                .map(|name| InstrumentId::new(name).unwrap())
                .collect()
        };
        let cut = |own: Selection<InstrumentId>, to: &[&str]| {
            narrowed(Box::new(Wants(own)), ids(to))
                .subscriptions()
                .instruments
        };
        assert_eq!(
            cut(Selection::All, &["A.SIM"]),
            Selection::Only(ids(&["A.SIM"]))
        );
        let own = || Selection::Only(ids(&["A.SIM", "B.SIM"]));
        assert_eq!(
            cut(own(), &["B.SIM", "C.SIM"]),
            Selection::Only(ids(&["B.SIM"]))
        );
        assert_eq!(cut(own(), &[]), own());
    }
}
