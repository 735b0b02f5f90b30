//! Sessions by the calendar: what opens and closes an instrument's trading by itself.

use crate::calendar::Calendar;
use crate::id::InstrumentId;
use crate::instrument::Instrument;
use crate::market::{Bar, MarketEvent};
use crate::time::UnixNanos;
use crate::venue::{SessionEdge, VenueCommand, VenueControl, VenueModel, VenueReport};
use std::collections::BTreeMap;

/// How far the sessions of one instrument have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionClock {
    calendar: &'static Calendar,
    next: Option<(UnixNanos, SessionEdge)>,
    /// The edges up to here, inclusive, were told; `None` before it has begun.
    at: Option<UnixNanos>,
    /// Tells those of extended hours too.
    extended: bool,
}

impl SessionClock {
    /// Returns a clock that has not begun; `None` for an instrument that always trades.
    pub(super) fn of(instrument: &Instrument) -> Option<SessionClock> {
        let calendar = Calendar::shared(&instrument.rules.calendar)?;
        calendar.has_breaks().then_some(SessionClock {
            calendar,
            next: None,
            at: None,
            extended: true,
        })
    }

    pub(super) fn has_begun(&self) -> bool {
        self.at.is_some()
    }

    /// Begins at `now`, and returns the edge that trading stands behind. `None` outside the range
    /// of calendars, where nothing is known and everything trades.
    pub(super) fn begin(&mut self, now: UnixNanos) -> Option<SessionEdge> {
        self.advance(now);
        if self.extended {
            self.calendar.edge_of_all_before(now)
        } else {
            self.calendar.edge_before(now)
        }
    }

    /// Tells the edges of the regular session alone from now on.
    fn leave_extended_out(&mut self) {
        self.extended = false;
        if let Some(at) = self.at {
            self.advance(at);
        }
    }

    fn advance(&mut self, ts: UnixNanos) {
        self.at = Some(ts);
        self.next = if self.extended {
            self.calendar.next_edge_of_all(ts)
        } else {
            self.calendar.next_edge(ts)
        };
    }

    /// Returns true when the session opens at this very moment.
    fn opens_at(&self, now: UnixNanos) -> bool {
        self.calendar.next_edge(now.plus(-1)) == Some((now, SessionEdge::Open))
    }

    /// Returns true when the next thing that happens is an opening.
    fn is_closed(&self) -> bool {
        matches!(self.next, Some((_, SessionEdge::Open)))
    }

    pub(super) fn due(&self) -> Option<UnixNanos> {
        self.next.map(|(ts, _)| ts)
    }

    /// Returns the next edge for which `wanted` holds, and goes on to the one behind it.
    pub(super) fn take(
        &mut self,
        wanted: impl Fn(UnixNanos, SessionEdge) -> bool,
    ) -> Option<(UnixNanos, SessionEdge)> {
        let (ts, edge) = self.next.filter(|(ts, edge)| wanted(*ts, *edge))?;
        self.advance(ts);
        // Extended hours that begin with a close are one more edge at the same time.
        if self.extended && edge == SessionEdge::Close && self.calendar.is_extended(ts) {
            self.next = Some((ts, SessionEdge::ExtendedOpen));
        }
        Some((ts, edge))
    }
}

/// A venue model that the trading calendars of its instruments open and close.
///
/// Quotes, prints and books: an edge comes before what bears its very time, and by the clock
/// where no data come. Bars say little about when: a bar within which the session opens begins
/// with the opening, since its first price is the session's; the close, and all else within or at
/// the end of it, comes behind it. A bar of one time only, as a row of a file is, covers what is
/// between the one before and it. Between two bars no edge is told, so that a bar is never cut;
/// and what is ordered behind the last bar of a session waits for the next as it is. A bar wholly
/// within extended hours fills what asks for them; any other bar outside of a session fills nothing.
#[derive(Clone, Debug)]
pub struct InSessions<V> {
    model: V,
    clocks: BTreeMap<InstrumentId, Listed>,
    /// The earliest edge of those that the clock alone tells.
    due: Option<UnixNanos>,
}

#[derive(Clone, Debug)]
struct Listed {
    clock: SessionClock,
    by_bars: bool,
    /// What the model was told of the present bars, where they lie outside of a session.
    told_outside: Option<SessionEdge>,
}

type Edge = (UnixNanos, SessionEdge);

impl<V: VenueModel> InSessions<V> {
    /// Makes the sessions of `instruments`; those without a calendar, and those whose market
    /// never closes, always trade.
    pub fn new<'a>(
        model: V,
        instruments: impl IntoIterator<Item = &'a Instrument>,
    ) -> InSessions<V> {
        let clocks = instruments.into_iter().filter_map(|instrument| {
            let clock = SessionClock::of(instrument)?;
            let listed = Listed {
                clock,
                by_bars: false,
                told_outside: None,
            };
            Some((instrument.instrument_id.clone(), listed))
        });
        InSessions {
            model,
            clocks: clocks.collect(),
            due: None,
        }
    }

    /// Begins the sessions of an instrument with its first data.
    fn begin(&mut self, id: &InstrumentId, now: UnixNanos, out: &mut Vec<VenueReport>) {
        let Some(listed) = self.clocks.get_mut(id) else {
            return;
        };
        if listed.clock.has_begun() {
            return;
        }
        let edge = listed.clock.begin(now);
        // In the middle of a session there is no opening to wait for.
        let tells = edge != Some(SessionEdge::Open) || listed.clock.opens_at(now);
        if let Some(edge) = edge.filter(|_| tells) {
            self.tell(id, now, edge, out);
        }
    }

    fn tell(
        &mut self,
        id: &InstrumentId,
        ts: UnixNanos,
        edge: SessionEdge,
        out: &mut Vec<VenueReport>,
    ) {
        let control = VenueControl::Session {
            instrument_id: id.clone(),
            edge,
        };
        self.model.on_control(ts, &control, out);
    }

    /// Tells the edges of one instrument for which `wanted` holds, in their order.
    fn tell_edges(
        &mut self,
        id: &InstrumentId,
        wanted: impl Fn(UnixNanos, SessionEdge) -> bool,
        out: &mut Vec<VenueReport>,
    ) {
        while let Some(listed) = self.clocks.get_mut(id)
            && let Some((ts, edge)) = listed.clock.take(&wanted)
        {
            self.tell(id, ts, edge, out);
        }
    }

    /// Lets the clock tell what is due at `now`.
    fn pass(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        while let Some(due) = self.due.filter(|due| *due <= now) {
            let ids: Vec<InstrumentId> = self
                .clocks
                .iter()
                .filter(|(_, listed)| !listed.by_bars && listed.clock.due() == Some(due))
                .map(|(id, _)| id.clone())
                .collect();
            for id in ids {
                self.tell_edges(&id, |ts, _| ts <= due, out);
            }
            self.measure();
        }
    }

    fn measure(&mut self) {
        let clocks = self.clocks.values().filter(|listed| !listed.by_bars);
        self.due = clocks.filter_map(|listed| listed.clock.due()).min();
    }

    fn show_bar(&mut self, event: &MarketEvent, bar: &Bar, out: &mut Vec<VenueReport>) {
        let id = &bar.instrument_id;
        let Some(listed) = self.clocks.get_mut(id) else {
            return;
        };
        if !listed.by_bars {
            listed.by_bars = true;
            listed.clock.leave_extended_out();
        }
        let (before, within) = listed.edges_of(bar);
        for (ts, edge) in before {
            self.tell(id, ts, edge, out);
        }
        self.model.on_market(event, out);
        for (ts, edge) in within {
            self.tell(id, ts, edge, out);
        }
        self.measure();
    }
}

impl Listed {
    /// Returns the edges to tell before a bar and behind it.
    fn edges_of(&mut self, bar: &Bar) -> (Vec<Edge>, Vec<Edge>) {
        let (begin, end) = (bar.ts_open.min(bar.ts_init), bar.ts_init);
        // A row of a file has one time only, and covers what is between the row before and it.
        let is_point = begin == end;
        let mut before = Vec::new();
        let is_first = !self.clock.has_begun();
        if is_first {
            let edge = self.clock.begin(begin);
            let opens = edge.filter(|_| self.clock.opens_at(begin));
            before.extend(opens.map(|edge| (begin, edge)));
        }
        let closes_before = |ts, edge| ts < end && edge == SessionEdge::Close;
        if is_point {
            before.extend(self.clock.take(closes_before));
        } else {
            while let Some(edge) = self.clock.take(|ts, _| ts <= begin) {
                before.push(edge);
            }
        }
        // At the very time of such a bar the session opens with it.
        let opens = |ts, edge| edge == SessionEdge::Open && (ts < end || ts <= begin);
        before.extend(self.clock.take(opens));
        let trades = !self.clock.is_closed() || (is_first && is_point);
        let outside = (!trades).then(|| self.outside(begin, end));
        let stands = before.last().map(|(_, edge)| *edge).or(self.told_outside);
        if outside != stands {
            before.extend(outside.map(|edge| (begin, edge)));
        }
        let mut within = Vec::new();
        let is_within = |ts, edge| ts < end || (ts == end && edge == SessionEdge::Close);
        while let Some(edge) = self.clock.take(is_within) {
            within.push(edge);
        }
        // Who sees the last bar of a session orders for the next one, and is not turned away.
        if trades && self.clock.is_closed() {
            within.push((end, SessionEdge::Open));
        }
        self.told_outside = outside;
        (before, within)
    }

    /// Returns what a bar outside of the regular session stands behind. One of one time only
    /// covers what is before it.
    fn outside(&self, begin: UnixNanos, end: UnixNanos) -> SessionEdge {
        let last = end.plus(-1);
        let calendar = self.clock.calendar;
        if calendar.is_extended(begin.min(last)) && calendar.is_extended(last) {
            return SessionEdge::ExtendedOpen;
        }
        match self.told_outside {
            // The close was told before those hours, and must not be told twice.
            Some(SessionEdge::ExtendedOpen | SessionEdge::ExtendedClose) => {
                SessionEdge::ExtendedClose
            }
            _ => SessionEdge::Close,
        }
    }
}

impl<V: VenueModel> VenueModel for InSessions<V> {
    fn on_market(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        if self.clocks.is_empty() {
            return self.model.on_market(event, out);
        }
        self.pass(event.ts_init(), out);
        let id = event.instrument_id();
        match event {
            MarketEvent::Bar(bar) if self.clocks.contains_key(id) => {
                self.show_bar(event, bar, out);
            }
            _ => {
                let begun = |listed: &Listed| listed.clock.has_begun();
                if !self.clocks.get(id).is_none_or(begun) {
                    self.begin(id, event.ts_init(), out);
                    self.measure();
                }
                self.model.on_market(event, out);
            }
        }
    }

    fn on_command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>) {
        self.pass(now, out);
        self.model.on_command(now, command, out);
    }

    fn on_control(&mut self, now: UnixNanos, control: &VenueControl, out: &mut Vec<VenueReport>) {
        self.pass(now, out);
        self.model.on_control(now, control, out);
    }

    fn on_time(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        self.pass(now, out);
        self.model.on_time(now, out);
    }

    fn on_split(&mut self, id: &InstrumentId, numerator: u32, denominator: u32) {
        self.model.on_split(id, numerator, denominator);
    }

    fn next_due(&self) -> Option<UnixNanos> {
        let due = [self.due, self.model.next_due()];
        due.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
