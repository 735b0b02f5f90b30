//! Seeds: many of them, each a whole run; and that a run depends on its seed alone.

use apex_sim::{Coverage, Failure, Report, run};
use std::panic::{catch_unwind, resume_unwind};

/// Seeds that once failed, kept for good.
const REMEMBERED: [u64; 0] = [];

/// What cannot occur in the simulator, and why.
const IMPOSSIBLE: [(&str, &str); 3] = [
    ("input OfferShare", ACCOUNTS_TOGETHER),
    ("event PlatformShareSet", ACCOUNTS_TOGETHER),
    (
        "refusal TooManyClosings",
        "nobody here closes 64 positions at once; account/tests/close has it",
    ),
];

const ACCOUNTS_TOGETHER: &str =
    "the limit over all accounts has seeded runs of its own, domain/risk/platform/tests/faults";

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a seed, and names it where it panics.
fn run_one(seed: u64) -> Result<Report, Failure> {
    catch_unwind(|| run(seed)).unwrap_or_else(|payload| {
        eprintln!("seed {seed} panicked; repeat it with: cargo xtask sim --seed {seed}");
        resume_unwind(payload)
    })
}

/// Runs the seeds on two threads: each run has everything it needs to itself.
fn run_all(seeds: Vec<u64>) -> Result<Vec<Report>, Failure> {
    let (first, second) = seeds.split_at(seeds.len() / 2);
    let all = |seeds: &[u64]| {
        seeds
            .iter()
            .map(|seed| run_one(*seed))
            .collect::<Result<Vec<_>, _>>()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| all(second));
        let mut reports = all(first)?;
        // A panic in there has printed itself already.
        reports.extend(other.join().expect("the other half ran")?);
        Ok(reports)
    })
}

#[test]
fn every_seed_holds() {
    let seeds = match number("APEX_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("APEX_SIM_SEEDS").unwrap_or(5_000))
            .chain(REMEMBERED)
            .collect(),
    };
    let reports = run_all(seeds).unwrap_or_else(|failure| panic!("{failure}"));
    let sum = |part: fn(&Report) -> u64| reports.iter().map(part).sum::<u64>();
    println!(
        "{} seeds held: {} events, {} orders, {} fills, {} sent again, {} crashes, {} batches \
         lost, {} disconnects, {} messages lost, {} doubled, {} snapshots",
        reports.len(),
        sum(|r| r.events),
        sum(|r| r.orders as u64),
        sum(|r| r.fills as u64),
        sum(|r| r.resent as u64),
        sum(|r| u64::from(r.crashes)),
        sum(|r| u64::from(r.lost_batches)),
        sum(|r| u64::from(r.disconnects)),
        sum(|r| u64::from(r.lost_messages)),
        sum(|r| u64::from(r.doubled_messages)),
        sum(|r| u64::from(r.snapshots)),
    );
    if reports.len() >= 100 {
        // Seeds that meet no faults would prove nothing.
        assert!(sum(|r| u64::from(r.crashes)) > 0 && sum(|r| u64::from(r.lost_batches)) > 0);
        assert!(sum(|r| r.resent as u64) > 0 && sum(|r| u64::from(r.doubled_messages)) > 0);
    }
    if reports.len() >= 5_000 {
        covers_everything(&reports);
    }
}

/// Every input, event and reason that can occur has occurred: what no seed meets is not tested.
fn covers_everything(reports: &[Report]) {
    let mut coverage = Coverage::default();
    for report in reports {
        coverage.add(&report.coverage);
    }
    println!("{}", coverage.table());
    let mut missing = coverage.missing();
    missing.retain(|what| !IMPOSSIBLE.iter().any(|(known, _)| known == what));
    assert!(missing.is_empty(), "no seed met {missing:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1).unwrap().state_hashes, run(2).unwrap().state_hashes);
}
