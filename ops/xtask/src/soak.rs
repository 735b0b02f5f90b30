//! `cargo xtask soak`: the long forms of tests whose short forms `test` runs.

use std::time::Duration;

use anyhow::Result;

use crate::Done;
use crate::run;
use crate::suites::{self, Long, Runner};

const LONG: [Long; 6] = [
    Long {
        name: "kill",
        runner: Runner::BlackBox("kill"),
        counts: &[("APEX_KILLS", "200")],
        limit: Duration::from_secs(2 * 3600),
    },
    Long {
        name: "strace",
        runner: Runner::BlackBox("strace"),
        counts: &[("APEX_STRACE_ANSWERS", "100000")],
        limit: Duration::from_secs(2 * 3600),
    },
    Long {
        name: "away",
        runner: Runner::BlackBox("postgres_faults"),
        counts: &[("APEX_AWAY_SECONDS", "60")],
        limit: Duration::from_secs(3600),
    },
    Long {
        name: "redis",
        runner: Runner::BlackBox("redis"),
        counts: &[("APEX_FREEZE_SECONDS", "30")],
        limit: Duration::from_secs(3600),
    },
    Long {
        name: "sim",
        runner: Runner::Package("apex-sim"),
        counts: &[("APEX_SIM_SEEDS", "200000")],
        limit: Duration::from_secs(2 * 3600),
    },
    Long {
        name: "gateway",
        runner: Runner::Package("apex-gateway"),
        counts: &[("APEX_FUZZ_CASES", "2000"), ("APEX_CUTS", "50000")],
        limit: Duration::from_secs(2 * 3600),
    },
];

/// Runs one long form, or all of them.
pub fn soak(name: Option<&str>) -> Result<Done> {
    let chosen: Vec<&Long> = LONG
        .iter()
        .filter(|long| name.is_none_or(|name| name == long.name))
        .collect();
    if chosen.is_empty() {
        return Ok(Done::WrongUsage);
    }
    suites::long(&chosen)
}

/// One run takes milliseconds; the rest is for building it first.
const SEED_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Repeats the run of one seed of the simulator.
pub fn seed(seed: &str) -> Result<Done> {
    if seed.parse::<u64>().is_err() {
        return Ok(Done::WrongUsage);
    }
    let mut command = run::cargo([
        "test",
        "--locked",
        "--package",
        "apex-sim",
        "--test",
        "seeds",
        "--",
        "every_seed_holds",
        "--exact",
        "--nocapture",
    ]);
    command.env("APEX_SIM_SEED", seed);
    Ok(Done::when(run::step(&mut command, SEED_LIMIT)?.ok))
}
