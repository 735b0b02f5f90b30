//! The way to a venue and back: how long commands and reports take.
//!
//! [`Delayed`] stands between an account and a [`VenueModel`]. A command works at the venue when
//! it arrives there, against the market of that moment, and a report is told when it is back.
//! Neither overtakes an earlier one. Where a market event has the same time, it comes first.

use super::random::Random;
use crate::id::InstrumentId;
use crate::market::MarketEvent;
use crate::time::UnixNanos;
use crate::venue::{VenueCommand, VenueControl, VenueModel, VenueReport};
use std::collections::{BTreeMap, VecDeque};

#[cfg(test)]
mod tests;

/// How long one way takes, in nanoseconds. Negative times count as zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LatencyModel {
    /// Always the same.
    Fixed(i64),
    /// `base_ns`, and on top of it an exponential time of this mean: most are short, few are
    /// long.
    Tail { base_ns: i64, mean_ns: i64 },
    /// One of these, each as likely: as they were recorded. None of them is no time.
    Samples(Vec<i64>),
    /// What the recording says of its own moment: from the time of the instrument's last market
    /// event before to when it was first seen. Nothing before the first event, and where the clocks
    /// of the two differ by more than that; at most [`MOST_RECORDED_NS`].
    Recorded,
}

impl LatencyModel {
    /// Returns the next time. Integer arithmetic only, so it is the same everywhere.
    pub fn draw(&self, random: &mut Random) -> i64 {
        let nanos = match self {
            LatencyModel::Fixed(nanos) => *nanos,
            LatencyModel::Tail { base_ns, mean_ns } => {
                base_ns.saturating_add(exponential(*mean_ns, random))
            }
            LatencyModel::Samples(samples) => {
                let at = random.below(samples.len() as u64);
                samples.get(at as usize).copied().unwrap_or(0)
            }
            // Known to the way only, which sees the market.
            LatencyModel::Recorded => 0,
        };
        nanos.max(0)
    }
}

/// The most that a recording's own latency counts, a minute: what was first seen later than that
/// waited for something else than the way, and nothing overtakes it.
pub const MOST_RECORDED_NS: i64 = 60_000_000_000;

/// Bits behind the binary point of [`exponential`].
const FRACTION: u32 = 16;

/// Returns an exponential number of this mean: the logarithm of a uniform one, its whole part by
/// the leading zeros, its fraction on a straight line between two of them. The line makes the
/// logarithm 1.5 in the mean, by which it is divided, and bends the distribution by some percent.
fn exponential(mean: i64, random: &mut Random) -> i64 {
    let number = random.next_u64();
    let zeros = number.leading_zeros().min(63);
    let below_leading_one = (number << zeros) << 1;
    let fraction = i128::from(below_leading_one >> (64 - FRACTION));
    let log2 = (i128::from(zeros + 1) << FRACTION) - fraction;
    let scaled = i128::from(mean.max(0)) * log2 * 2 / 3;
    i64::try_from(scaled >> FRACTION).unwrap_or(i64::MAX)
}

/// The latencies of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latencies {
    pub to_venue: LatencyModel,
    pub to_account: LatencyModel,
    pub seed: u64,
}

impl Latencies {
    /// Returns the way there and the way back, each with lots of its own, so that what is drawn
    /// for one does not depend on how often the other is used.
    pub fn ways<C, R>(self) -> (Way<C>, Way<R>) {
        let mut lots = Random::new(self.seed);
        let there = Way::new(self.to_venue, lots.next_u64());
        (there, Way::new(self.to_account, lots.next_u64()))
    }
}

/// What is under way in one direction, in the order in which it was sent. The sender bounds it.
#[derive(Clone, Debug)]
pub struct Way<T> {
    latency: LatencyModel,
    random: Random,
    sent: VecDeque<(UnixNanos, T)>,
}

impl<T> Way<T> {
    pub fn new(latency: LatencyModel, seed: u64) -> Way<T> {
        Way {
            latency,
            random: Random::new(seed),
            sent: VecDeque::new(),
        }
    }

    /// Sends at `now`. It arrives after its own time, and never before what was sent earlier.
    pub fn send(&mut self, now: UnixNanos, what: T) {
        self.send_recorded(now, 0, what);
    }

    /// As [`Way::send`], where a recording says `recorded` of how long the way takes now.
    fn send_recorded(&mut self, now: UnixNanos, recorded: i64, what: T) {
        let nanos = match self.latency {
            LatencyModel::Recorded => recorded,
            _ => self.latency.draw(&mut self.random),
        };
        let arrival = now.plus(nanos);
        let before = self.sent.back().map_or(UnixNanos::MIN, |(due, _)| *due);
        self.sent.push_back((arrival.max(before), what));
    }

    /// Takes out what arrives next, with its time, if that is `until` or before; at `until` itself
    /// only when `inclusive`.
    pub fn arrive(&mut self, until: UnixNanos, inclusive: bool) -> Option<(UnixNanos, T)> {
        let due = self.next_due()?;
        let is_due = due < until || (due == until && inclusive);
        is_due.then(|| self.sent.pop_front())?
    }

    /// Returns when the next one arrives.
    pub fn next_due(&self) -> Option<UnixNanos> {
        self.sent.front().map(|(due, _)| *due)
    }

    /// Returns how many are under way.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

/// A venue that is some way off. See the module.
#[derive(Clone, Debug)]
pub struct Delayed<M> {
    venue: M,
    commands: Way<VenueCommand>,
    reports: Way<VenueReport>,
    /// How far behind its time the last market event of each instrument was seen.
    recorded: BTreeMap<InstrumentId, i64>,
    /// That of the instrument which something happened to last.
    way_now: i64,
    /// Kept between calls for its memory.
    made: Vec<VenueReport>,
}

impl<M: VenueModel> Delayed<M> {
    pub fn new(venue: M, latencies: Latencies) -> Delayed<M> {
        let (commands, reports) = latencies.ways();
        Delayed {
            venue,
            commands,
            reports,
            recorded: BTreeMap::new(),
            way_now: 0,
            made: Vec::new(),
        }
    }

    /// Returns the venue itself.
    pub fn venue(&self) -> &M {
        &self.venue
    }

    /// Lets commands arrive until `until`, at `until` itself only when `inclusive`, and lets
    /// everything else of the venue that happens between them happen.
    fn arrive(&mut self, until: UnixNanos, inclusive: bool) {
        while let Some((due, command)) = self.commands.arrive(until, inclusive) {
            self.venue.on_command(due, &command, &mut self.made);
            self.turn_to(command.instrument_id());
            self.send_back(due);
        }
    }

    /// Sends what the venue has put out on its way.
    fn send_back(&mut self, now: UnixNanos) {
        for report in self.made.drain(..) {
            self.reports.send_recorded(now, self.way_now, report);
        }
    }

    /// Takes over how long a recording says that the way takes for an instrument now.
    fn turn_to(&mut self, instrument_id: &InstrumentId) {
        let recorded = self.recorded.get(instrument_id);
        self.way_now = recorded.copied().unwrap_or(0);
    }

    /// Notes how far behind its time a market event was seen, where that is asked for.
    fn see(&mut self, event: &MarketEvent) {
        let ways = [&self.commands.latency, &self.reports.latency];
        let (true, Some(ts_event)) = (ways.contains(&&LatencyModel::Recorded), event.ts_event())
        else {
            return;
        };
        let nanos = event.ts_init().since(ts_event).clamp(0, MOST_RECORDED_NS);
        self.recorded.insert(event.instrument_id().clone(), nanos);
    }

    fn tell(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        while let Some((_, report)) = self.reports.arrive(now, true) {
            out.push(report);
        }
    }
}

impl<M: VenueModel> VenueModel for Delayed<M> {
    fn on_market(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let now = event.ts_init();
        self.arrive(now, false);
        self.see(event);
        self.venue.on_market(event, &mut self.made);
        self.turn_to(event.instrument_id());
        self.send_back(now);
        self.tell(now, out);
    }

    fn on_command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>) {
        self.turn_to(command.instrument_id());
        self.commands
            .send_recorded(now, self.way_now, command.clone());
        self.arrive(now, true);
        self.tell(now, out);
    }

    fn on_control(&mut self, now: UnixNanos, control: &VenueControl, out: &mut Vec<VenueReport>) {
        self.arrive(now, false);
        self.venue.on_control(now, control, &mut self.made);
        self.send_back(now);
        self.tell(now, out);
    }

    fn on_time(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        self.arrive(now, true);
        self.venue.on_time(now, &mut self.made);
        self.send_back(now);
        self.tell(now, out);
    }

    fn on_split(&mut self, id: &InstrumentId, numerator: u32, denominator: u32) {
        self.venue.on_split(id, numerator, denominator);
    }

    fn next_due(&self) -> Option<UnixNanos> {
        [self.next_arrival(), self.venue.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    fn next_arrival(&self) -> Option<UnixNanos> {
        [self.commands.next_due(), self.reports.next_due()]
            .into_iter()
            .flatten()
            .min()
    }
}
