//! `fmt`, `lint`, and `ci`, which runs every check and then the tests.

use std::time::Duration;

use anyhow::Result;

use crate::{Done, deny, run, suites, tidy, up};

const FMT_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Formats the workspace, or with `check` only says what is not formatted.
pub fn fmt(check: bool) -> Result<Done> {
    let mut command = run::cargo(["fmt", "--all"]);
    if check {
        command.arg("--check");
    }
    Ok(Done::when(run::step(&mut command, FMT_LIMIT)?.ok))
}

/// Clippy over every target; a warning fails it.
pub fn lint() -> Result<Done> {
    let mut command = run::cargo([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    Ok(Done::when(run::step(&mut command, up::BUILD_LIMIT)?.ok))
}

/// Every check, then the tests. A failing check does not hide what the later ones would say.
pub fn ci() -> Result<Done> {
    type Check = (&'static str, fn() -> Result<Done>);
    let checks: [Check; 5] = [
        ("fmt", || fmt(true)),
        ("tidy", tidy::command),
        ("lint", lint),
        ("deny", deny::command),
        ("test", || suites::test(None)),
    ];
    let mut failed = Vec::new();
    let mut words = Vec::new();
    for (name, check) in checks {
        let passed = match check() {
            Ok(done) => done == Done::Passed,
            Err(error) => {
                eprintln!("xtask {name}: {error:#}");
                false
            }
        };
        words.push(format!("{name} {}", if passed { "ok" } else { "FAILED" }));
        if !passed {
            failed.push(name);
        }
    }
    println!("ci: {}", words.join(", "));
    Ok(Done::when(failed.is_empty()))
}
