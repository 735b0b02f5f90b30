//! An account, a venue and scripted strategies round an engine.

use crate::Due;
use crate::context::Context;
use crate::lock_step::LockStep;
use crate::strategy::Strategy;
use crate::subscription::{Selection, Subscriptions};
use crate::testing::{account_id, instrument, strategy_id};
use apex_domain::account::{Account, AccountInput, Effects, Refusal};
use apex_domain::event::{AccountMode, Event, Recorded};
use apex_domain::instrument::Instrument;
use apex_domain::market::{Bar, MarketEvent, Quote};
use apex_domain::matching::{BarFill, BarFillOptions, FillModel};
use apex_domain::order::Order;
use apex_domain::risk::Limits;
use apex_domain::venue::VenueModel;
use apex_domain::{ClientOrderId, Currency, UnixNanos};
use std::sync::{Arc, Mutex};

pub type OnBar = Box<dyn FnMut(&mut Context<'_>, &Bar) + Send>;
pub type OnTimer = Box<dyn FnMut(&mut Context<'_>, &str) + Send>;

/// A strategy whose handlers are closures and which writes down what it hears.
pub struct Scripted {
    pub heard: Arc<Mutex<Vec<String>>>,
    pub on_bar: OnBar,
    pub on_timer: OnTimer,
}

impl Strategy for Scripted {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            ..Subscriptions::none()
        }
    }

    fn on_start(&mut self, ctx: &mut Context<'_>) {
        self.say(format!("start {}", ctx.now()));
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, bar: &Bar) {
        self.say(format!("bar {}", ctx.now()));
        (self.on_bar)(ctx, bar);
    }

    fn on_quote(&mut self, _ctx: &mut Context<'_>, _quote: &Quote) {
        self.say("quote".to_owned());
    }

    fn on_order(&mut self, ctx: &mut Context<'_>, order: &Order, event: &Recorded) {
        if matches!(event.event, Event::OrderFilled { .. }) {
            let position = ctx.position(&order.request.instrument_id);
            let last = ctx.last_price(&order.request.instrument_id);
            let last = last.map_or(0, |price| price.0);
            self.say(format!(
                "fill at {} position {position} last {last}",
                ctx.now()
            ));
        }
    }

    fn on_refused(&mut self, _ctx: &mut Context<'_>, id: &ClientOrderId, refusal: &Refusal) {
        self.say(format!("refused {id}: {refusal}"));
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, tag: &str) {
        self.say(format!("timer {tag} {}", ctx.now()));
        (self.on_timer)(ctx, tag);
    }

    fn on_stop(&mut self, _ctx: &mut Context<'_>) {
        self.say("stop".to_owned());
    }
}

impl Scripted {
    fn say(&self, text: String) {
        self.heard.lock().unwrap().push(text);
    }
}

/// An account and a venue round an engine.
pub struct World {
    pub step: LockStep,
    pub account: Account,
    pub journal: Vec<Recorded>,
    /// Of the reports, in the order in which they came.
    pub sequences: Vec<u64>,
}

impl World {
    pub fn new(fill: FillModel) -> World {
        World::listing(fill, instrument())
    }

    /// As [`World::new`], with another definition of the instrument.
    pub fn listing(fill: FillModel, instrument: Instrument) -> World {
        let venue = BarFill::new(BarFillOptions::new(fill), [instrument.clone()]);
        World::with(Box::new(venue), instrument)
    }

    /// A world round another venue.
    pub fn at(venue: Box<dyn VenueModel + Send>) -> World {
        World::with(venue, instrument())
    }

    fn with(venue: Box<dyn VenueModel + Send>, instrument: Instrument) -> World {
        let mut world = World {
            step: LockStep::new(account_id(), venue, [instrument.clone()]),
            account: Account::new(),
            journal: Vec::new(),
            sequences: Vec::new(),
        };
        for input in [
            AccountInput::Open {
                account_id: account_id(),
                base_currency: Currency::new("USD").unwrap(),
                mode: AccountMode::Backtest,
            },
            AccountInput::SetLimits {
                request_id: None,
                limits: Box::new(Limits {
                    allow_short_spot: true,
                    ..Limits::default()
                }),
                expected_sequence: None,
            },
            AccountInput::DefineInstrument(Box::new(instrument)),
        ] {
            world.apply(UnixNanos(0), input);
        }
        world
    }

    pub fn apply(&mut self, now: UnixNanos, input: AccountInput) -> Effects {
        if let AccountInput::Report { venue_sequence, .. } = &input {
            self.sequences.push(*venue_sequence);
        }
        let mut effects = Effects::default();
        self.account.apply(now, input, &mut effects);
        self.journal.extend(effects.events.iter().cloned());
        effects
    }

    pub fn add(&mut self, id: &str, on_bar: OnBar, on_timer: OnTimer) -> Arc<Mutex<Vec<String>>> {
        let heard = Arc::default();
        let strategy = Scripted {
            heard: Arc::clone(&heard),
            on_bar,
            on_timer,
        };
        self.step
            .add_strategy(strategy_id(id), Box::new(strategy))
            .unwrap();
        heard
    }

    pub fn settle(&mut self) {
        while let Some(Due::Input(now, input)) = self.step.poll() {
            let effects = self.apply(now, input);
            self.step.on_effects(&effects);
        }
    }

    pub fn run(&mut self, events: impl IntoIterator<Item = MarketEvent>) {
        self.step.start(UnixNanos(0));
        self.settle();
        for event in events {
            self.step.push_market(event);
            self.settle();
        }
    }

    pub fn notes(&mut self) -> Vec<String> {
        let notes = self.step.take_notes();
        notes
            .lines()
            .map(|note| format!("{}: {}", note.strategy_id, note.text))
            .collect()
    }
}
