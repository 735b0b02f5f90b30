//! What happened, on its way to the strategy: one order of time over all sources.

use super::wants::Wants;
use apex_bus::market::MarketHub;
use apex_bus::message::AccountEvent;
use apex_domain::event::Event as DomainEvent;
use apex_domain::market::MarketEvent;
use apex_domain::{Instrument, InstrumentId, UnixNanos};
use apex_proto::convert::{event, instrument, market};
use apex_proto::v1::{self, strategy_event::Event};
use std::collections::BTreeMap;

/// Something that a session may have to tell.
#[derive(Clone, Debug)]
pub enum Happening {
    Market {
        event: MarketEvent,
        /// Older values of its instrument that were left out.
        overwritten: u64,
    },
    /// Values that were left out, over all instruments.
    Missed {
        kind: v1::MarketDataKind,
        missed: u64,
    },
    Account(AccountEvent),
    Timer {
        name: String,
        due: UnixNanos,
    },
}

impl Happening {
    /// When it was first seen; `None` for what has no time of its own.
    pub fn ts(&self) -> Option<UnixNanos> {
        match self {
            Happening::Market { event, .. } => Some(event.ts_init()),
            Happening::Missed { .. } => None,
            Happening::Account(event) => Some(event.recorded.ts),
            Happening::Timer { due, .. } => Some(*due),
        }
    }
}

/// The definitions that a session was told, and the indexes that its ticks use.
#[derive(Debug, Default)]
pub struct Names {
    indexes: BTreeMap<InstrumentId, u32>,
}

impl Names {
    /// Returns the index of an instrument, given to it now if it is new.
    fn index(&mut self, id: &InstrumentId) -> (u32, bool) {
        if let Some(index) = self.indexes.get(id) {
            return (*index, false);
        }
        let index = u32::try_from(self.indexes.len()).unwrap_or(u32::MAX);
        self.indexes.insert(id.clone(), index);
        (index, true)
    }

    /// Writes the definitions of all instruments that there are when a session begins.
    pub fn all(&mut self, hub: &MarketHub) -> (Vec<v1::Instrument>, Vec<v1::InstrumentScale>) {
        let views = hub.views();
        let written = views.into_iter().map(|view| {
            let (index, _) = self.index(&view.instrument.instrument_id);
            (
                instrument::instrument(&view.instrument, view.feed),
                market::scale(index, &view.instrument),
            )
        });
        written.unzip()
    }

    /// Returns the index of an instrument and, where it is new to the session, its definition.
    /// `None` for one that this process has no definition of.
    fn introduce(
        &mut self,
        id: &InstrumentId,
        hub: &MarketHub,
        events: &mut Vec<Event>,
    ) -> Option<u32> {
        if let Some(index) = self.indexes.get(id) {
            return Some(*index);
        }
        let view = hub.view(id)?;
        let (index, _) = self.index(id);
        let definition = instrument::instrument(&view.instrument, view.feed);
        events.push(Event::Instrument(definition));
        events.push(Event::Scale(market::scale(index, &view.instrument)));
        Some(index)
    }
}

/// Writes one happening; nothing where the session is not to be told of it.
pub fn write(
    happening: &Happening,
    wants: &Wants,
    names: &mut Names,
    hub: &MarketHub,
    events: &mut Vec<Event>,
) {
    match happening {
        Happening::Market { event, overwritten } => {
            if wants.takes(event)
                && let Some(index) = names.introduce(event.instrument_id(), hub, events)
                && let Some(tick) = tick(index, event, *overwritten)
            {
                events.push(tick);
            }
        }
        Happening::Missed { kind, missed } => events.push(Event::Gap(v1::MarketDataGap {
            kind: (*kind).into(),
            missed: *missed,
            ..Default::default()
        })),
        Happening::Account(account_event) => write_account(account_event, names, hub, events),
        Happening::Timer { name, due } => events.push(Event::Timer(v1::TimerFired {
            name: name.clone(),
            ts_due_ns: due.0,
        })),
    }
}

fn write_account(
    account_event: &AccountEvent,
    names: &mut Names,
    hub: &MarketHub,
    events: &mut Vec<Event>,
) {
    let recorded = &account_event.recorded;
    if let DomainEvent::InstrumentDefined { instrument: new } = &recorded.event {
        // A definition that changed; a new one comes with its first tick or order.
        if names.indexes.contains_key(&new.instrument_id) {
            write_definition(new, names, hub, events);
        }
        return;
    }
    let Some(order) = &account_event.order else {
        return;
    };
    let id = &order.request.instrument_id;
    let Some(definition) = hub.instrument(id) else {
        return;
    };
    names.introduce(id, hub, events);
    let account_id = &account_event.account_id;
    if let Some(written) = event::order_event(account_id, recorded, order, &definition) {
        events.push(Event::Order(written));
    }
}

fn write_definition(
    definition: &Instrument,
    names: &mut Names,
    hub: &MarketHub,
    events: &mut Vec<Event>,
) {
    let Some(view) = hub.view(&definition.instrument_id) else {
        return;
    };
    let (index, _) = names.index(&definition.instrument_id);
    events.push(Event::Instrument(instrument::instrument(
        definition, view.feed,
    )));
    events.push(Event::Scale(market::scale(index, definition)));
}

/// `None` for a change of a book: sessions get whole tops.
fn tick(index: u32, event: &MarketEvent, overwritten: u64) -> Option<Event> {
    Some(match event {
        MarketEvent::Quote(quote) => Event::Quote(market::quote(index, quote, overwritten)),
        MarketEvent::Trade(trade) => Event::Trade(market::trade(index, trade)),
        MarketEvent::Snapshot(book) => Event::Book(market::book(index, book, overwritten)),
        MarketEvent::Bar(bar) => Event::Bar(market::bar(index, bar)),
        MarketEvent::FeedState(state) => {
            Event::FeedState(market::feed_state(index, state, overwritten))
        }
        MarketEvent::Book(_) => return None,
    })
}
