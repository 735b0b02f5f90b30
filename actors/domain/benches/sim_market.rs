//! How fast the simulated market runs: market events a second of machine time, three instruments.
//!
//! `cargo bench -p apex-domain --bench sim_market [-- MINUTES]`; prints the median of five runs. It
//! uses nothing that older commits do not have, so that the same file measures them too.

use apex_domain::UnixNanos;
use apex_domain::matching::{ExchangeInput, SimExchange, SimOptions};
use std::hint::black_box;
use std::time::Duration;

const RUNS: usize = 5;
const SECOND_NS: i64 = 1_000_000_000;

// A bench measures the machine's time; no machine of the domain sees it.
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
fn timed(run: impl FnOnce()) -> Duration {
    let begin = std::time::Instant::now();
    run();
    begin.elapsed()
}

/// Returns the number of events of so many simulated minutes from midnight UTC.
fn market(minutes: i64, seed: u64) -> usize {
    let mut exchange = SimExchange::new(SimOptions::new(seed)).expect("the default options");
    let mut out = Vec::new();
    let mut events = 0;
    for second in 0..minutes * 60 {
        exchange.apply(UnixNanos(second * SECOND_NS), ExchangeInput::Step, &mut out);
        events += black_box(&out).len();
        out.clear();
    }
    events
}

fn main() {
    // Its only setting; no machine of the domain sees it.
    #[allow(clippy::disallowed_methods)]
    let minutes = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let minutes = minutes.unwrap_or(120);
    let mut rates = Vec::new();
    for seed in 0..RUNS as u64 {
        let mut events = 0;
        let spent = timed(|| events = market(minutes, seed));
        let hours = minutes as f64 / 60.0;
        rates.push((
            events as f64 / spent.as_secs_f64(),
            spent.as_secs_f64() / hours,
        ));
    }
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (rate, hour) = rates[RUNS / 2];
    println!(
        "simulated market, {minutes} minutes: {:.3} million events/s ({:.3} to {:.3}); \
         a simulated hour takes {:.0} ms",
        rate / 1e6,
        rates[0].0 / 1e6,
        rates[RUNS - 1].0 / 1e6,
        hour * 1e3
    );
}
