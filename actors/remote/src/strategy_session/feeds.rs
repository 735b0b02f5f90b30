//! What a session listens to.

use super::actor::SessionMessage;
use super::commands::Owner;
use super::events::Happening;
use super::wants::Wants;
use apex_bus::handle::Platform;
use apex_bus::market::MarketHub;
use apex_bus::message::AccountEvent;
use apex_bus::topic::{Drained, Item, SubscribeError, Subscription, Topic};
use apex_domain::market::{Bar, BookSnapshot, FeedState, MarketEvent, Quote, Trade};
use apex_proto::v1::MarketDataKind as Kind;
use ractor::ActorRef;
use std::sync::Arc;

/// Values of one topic in one batch: what a strategy takes in a few milliseconds.
pub const PER_TOPIC: usize = 512;

/// Subscriptions to what the hello asked for; what it did not is `None`.
pub struct Feeds {
    account: Subscription<AccountEvent>,
    quotes: Option<Subscription<Quote>>,
    trades: Option<Subscription<Trade>>,
    books: Option<Subscription<Arc<BookSnapshot>>>,
    bars: Option<Subscription<Bar>>,
    feed_states: Option<Subscription<FeedState>>,
}

impl Feeds {
    pub fn subscribe(
        actor: &ActorRef<SessionMessage>,
        platform: &Platform,
        wants: &Wants,
        owner: &Owner,
    ) -> Result<Feeds, SubscribeError> {
        fn wanted<T: Clone + Send + Sync + 'static>(
            is_wanted: bool,
            topic: &Topic<T>,
            name: &str,
            actor: &ActorRef<SessionMessage>,
        ) -> Result<Option<Subscription<T>>, SubscribeError> {
            let bell = || SessionMessage::Bell;
            is_wanted
                .then(|| topic.subscribe_actor(name, actor.clone(), bell))
                .transpose()
        }
        let MarketHub {
            quotes,
            trades,
            books,
            bars,
            feed_states,
            ..
        } = &platform.market;
        let name = format!("strategy {}", owner.strategy_id);
        let bell = || SessionMessage::Bell;
        Ok(Feeds {
            account: platform
                .account_events
                .subscribe_actor(&name, actor.clone(), bell)?,
            quotes: wanted(wants.any(Kind::Quotes), quotes, &name, actor)?,
            trades: wanted(wants.any(Kind::Trades), trades, &name, actor)?,
            books: wanted(wants.any(Kind::Book), books, &name, actor)?,
            bars: wanted(wants.any(Kind::Bars), bars, &name, actor)?,
            feed_states: wanted(wants.any(Kind::FeedState), feed_states, &name, actor)?,
        })
    }

    /// Takes what the market's topics have, at most [`PER_TOPIC`] of each. Returns true when there
    /// may be more.
    pub fn market(&mut self, happenings: &mut Vec<Happening>) -> bool {
        fn take<T: Clone + Send + Sync + 'static>(
            subscription: &mut Option<Subscription<T>>,
            kind: Kind,
            happenings: &mut Vec<Happening>,
            event: impl Fn(T) -> MarketEvent,
        ) -> bool {
            let Some(subscription) = subscription else {
                return false;
            };
            let drained = subscription.drain(PER_TOPIC, |item| {
                happenings.push(match item {
                    Item::Value { value, overwritten } => Happening::Market {
                        event: event(value),
                        overwritten,
                    },
                    Item::Gap { missed } => Happening::Missed { kind, missed },
                });
            });
            drained == Drained::Again
        }
        let states = take(
            &mut self.feed_states,
            Kind::FeedState,
            happenings,
            MarketEvent::FeedState,
        );
        let quotes = take(
            &mut self.quotes,
            Kind::Quotes,
            happenings,
            MarketEvent::Quote,
        );
        let books = take(&mut self.books, Kind::Book, happenings, |book| {
            MarketEvent::Snapshot(BookSnapshot::clone(&book))
        });
        let trades = take(
            &mut self.trades,
            Kind::Trades,
            happenings,
            MarketEvent::Trade,
        );
        let bars = take(&mut self.bars, Kind::Bars, happenings, MarketEvent::Bar);
        states | quotes | books | trades | bars
    }

    /// Takes the account's events that are there, at most `budget` of them. Returns false when
    /// some were dropped; those behind them are then left out too, since the journal has them all.
    pub fn account(
        &mut self,
        owner: &Owner,
        budget: usize,
        events: &mut Vec<AccountEvent>,
    ) -> Account {
        let mut gap = false;
        let drained = self.account.drain(budget, |item| match item {
            Item::Value { value, .. } if !gap && value.account_id == owner.account_id => {
                events.push(value);
            }
            Item::Value { .. } => {}
            Item::Gap { .. } => gap = true,
        });
        match (gap, drained) {
            (true, _) => Account::Gap,
            (false, Drained::Again) => Account::More,
            (false, Drained::Asleep | Drained::Closed) => Account::Whole,
        }
    }
}

/// How the account's topic was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    Whole,
    More,
    Gap,
}
