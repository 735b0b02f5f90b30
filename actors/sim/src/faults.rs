//! What can go wrong in one run, drawn from its seed.

use apex_domain::time::NANOS_PER_MILLI;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Kinds of venue and network, and how bad it gets.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Reports carry a sequence, come in order within a connection, and are sent again from where
    /// the account left off when it connects anew. Otherwise each travels by itself.
    pub sequenced: bool,
    /// The venue refuses a client order id that it has seen. Otherwise a second send makes a
    /// second order, and only proof may lead to one.
    pub unique_ids: bool,
    /// The network may double commands; only where the venue refuses doubles.
    pub doubled_commands: f64,
    pub doubled_reports: f64,
    pub lost_commands: f64,
    pub lost_reports: f64,
    /// The venue's answers to queries that never come, beside what the network loses.
    pub lost_answers: f64,
    /// Longest way of a message.
    pub delay_ns: i64,
    /// Longest time until what was decided is durable.
    pub flush_ns: i64,
    /// Mean time between two faults of the whole connection or process.
    pub break_ns: i64,
    /// Share of those that kill the process.
    pub crash: f64,
    /// How far the venue's clock is ahead of ours.
    pub skew_ns: i64,
    /// Share of the cancels that the venue refuses although the order works.
    pub refused_cancels: f64,
}

impl Faults {
    pub fn draw(rng: &mut ChaCha8Rng) -> Faults {
        let sequenced = rng.random_bool(0.5);
        let unique_ids = rng.random_bool(0.5);
        let bad = rng.random_range(0.0..0.3);
        let share = |rng: &mut ChaCha8Rng, of: f64| {
            if of > 0.0 {
                rng.random_range(0.0..of)
            } else {
                0.0
            }
        };
        Faults {
            sequenced,
            unique_ids,
            doubled_commands: if unique_ids { share(rng, bad) } else { 0.0 },
            doubled_reports: share(rng, bad),
            lost_commands: share(rng, bad),
            // In a sequenced stream only a broken connection loses reports.
            lost_reports: if sequenced { 0.0 } else { share(rng, bad) },
            lost_answers: if rng.random_bool(0.15) {
                rng.random_range(0.5..1.0)
            } else {
                0.0
            },
            delay_ns: rng.random_range(1..1_500) * NANOS_PER_MILLI,
            flush_ns: rng.random_range(1..300) * NANOS_PER_MILLI,
            break_ns: rng.random_range(1_000..8_000) * NANOS_PER_MILLI,
            crash: rng.random_range(0.0..0.8),
            skew_ns: rng.random_range(-1_500..1_500) * NANOS_PER_MILLI,
            refused_cancels: share(rng, 0.2),
        }
    }

    /// From here on everything arrives, once and soon.
    pub fn heal(&mut self) {
        self.doubled_commands = 0.0;
        self.doubled_reports = 0.0;
        self.lost_commands = 0.0;
        self.lost_reports = 0.0;
        self.lost_answers = 0.0;
        self.refused_cancels = 0.0;
        self.delay_ns = 10 * NANOS_PER_MILLI;
        self.flush_ns = NANOS_PER_MILLI;
    }
}
