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
use std::collections::VecDeque;

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
        };
        nanos.max(0)
    }
}

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

/// A venue that is some way off. See the module.
#[derive(Clone, Debug)]
pub struct Delayed<M> {
    venue: M,
    latencies: Latencies,
    random: Random,
    commands: VecDeque<(UnixNanos, VenueCommand)>,
    reports: VecDeque<(UnixNanos, VenueReport)>,
    /// Kept between calls for its memory.
    made: Vec<VenueReport>,
}

impl<M: VenueModel> Delayed<M> {
    pub fn new(venue: M, latencies: Latencies) -> Delayed<M> {
        Delayed {
            venue,
            random: Random::new(latencies.seed),
            latencies,
            commands: VecDeque::new(),
            reports: VecDeque::new(),
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
        while let Some((due, _)) = self.commands.front() {
            if *due > until || (*due == until && !inclusive) {
                return;
            }
            if let Some((due, command)) = self.commands.pop_front() {
                self.venue.on_command(due, &command, &mut self.made);
                self.send_back(due);
            }
        }
    }

    /// Sends what the venue has put out on its way.
    fn send_back(&mut self, now: UnixNanos) {
        for report in std::mem::take(&mut self.made) {
            let arrival = now.plus(self.latencies.to_account.draw(&mut self.random));
            let before = self.reports.back().map_or(UnixNanos::MIN, |(due, _)| *due);
            self.reports.push_back((arrival.max(before), report));
        }
    }

    fn tell(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        while self.reports.front().is_some_and(|(due, _)| *due <= now) {
            out.extend(self.reports.pop_front().map(|(_, report)| report));
        }
    }
}

impl<M: VenueModel> VenueModel for Delayed<M> {
    fn on_market(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let now = event.ts_init();
        self.arrive(now, false);
        self.venue.on_market(event, &mut self.made);
        self.send_back(now);
        self.tell(now, out);
    }

    fn on_command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>) {
        let arrival = now.plus(self.latencies.to_venue.draw(&mut self.random));
        let before = self.commands.back().map_or(UnixNanos::MIN, |(due, _)| *due);
        self.commands
            .push_back((arrival.max(before), command.clone()));
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
        let command = self.commands.front().map(|(due, _)| *due);
        let report = self.reports.front().map(|(due, _)| *due);
        [command, report, self.venue.next_due()]
            .into_iter()
            .flatten()
            .min()
    }
}
