//! `cargo xtask test`: the unit, doc and black-box tests, and one total at the end.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::run::Outcome;
use crate::totals::{self, Closing, Totals};
use crate::{Done, host, run, up};

/// Compiling and running everything on two slow cores, with a wide margin; a single test is cut
/// far sooner, by `.config/nextest.toml` and `ops/tests/pytest.ini`.
const SUITE_LIMIT: Duration = Duration::from_secs(40 * 60);

/// pytest's exit status when no test matched.
const PYTEST_NO_TESTS: i32 = 5;

/// What the suites said.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<String>,
    totals: Totals,
}

impl Report {
    /// Counts a runner's outcome by its own closing line.
    fn add(&mut self, suite: &str, outcome: &Outcome, closing: Option<Closing>) {
        let (line, mut totals) = closing.unwrap_or_else(|| {
            (
                "ended without a summary, see above".to_owned(),
                Totals::default(),
            )
        });
        if !outcome.ok && totals.failed == 0 {
            // It did not compile, or was stopped: no count of it exists, and it is no pass.
            totals.failed = 1;
        }
        self.lines.push(format!("{suite}: {line}"));
        self.totals += totals;
    }

    /// Counts a suite that could not run at all. In CI that is a failure, since there everything
    /// must be there; elsewhere it is skipped by name, never passed.
    fn cannot_run(&mut self, suite: &str, why: &str) {
        if std::env::var_os("CI").is_some() {
            self.totals.failed += 1;
            self.lines.push(format!("{suite}: FAILED to set up: {why}"));
        } else {
            self.totals.skipped += 1;
            self.lines
                .push(format!("{suite}: SKIPPED as a whole: {why}"));
        }
    }

    fn close(self) -> Done {
        println!();
        for line in &self.lines {
            println!("{line}");
        }
        println!("{}", self.totals);
        Done::when(self.totals.failed == 0)
    }
}

/// Runs all suites, one of them, or the tests whose name contains `only`.
pub fn test(only: Option<&str>) -> Result<Done> {
    let mut report = Report::default();
    match only {
        None => {
            set_up()?;
            unit(&mut report, None)?;
            doc(&mut report)?;
            black_box(&mut report, None)?;
        }
        Some("unit") => {
            set_up()?;
            unit(&mut report, None)?;
        }
        Some("doc") => doc(&mut report)?,
        Some("blackbox") => black_box(&mut report, None)?,
        Some(name) => {
            unit(&mut report, Some(name))?;
            black_box(&mut report, Some(name))?;
            if report.totals == Totals::default() {
                report.totals.failed = 1;
                report
                    .lines
                    .push(format!("no test's name contains `{name}`"));
            }
        }
    }
    Ok(report.close())
}

/// Installs what the tests start beside themselves. What is missing afterwards is named here, and
/// each test that needs it says that it is skipped; in CI it fails.
fn set_up() -> Result<()> {
    for line in host::prepare()? {
        println!("{line}");
    }
    if host::has_python()
        && let Err(error) = host::python()
    {
        println!("{error:#}");
    }
    Ok(())
}

/// The tests beside the code and in each crate's `tests/`.
fn unit(report: &mut Report, filter: Option<&str>) -> Result<()> {
    if !run::on_path("cargo-nextest") {
        println!("cargo-nextest is not installed: using `cargo test`, which is slower to finish");
        let mut command = run::cargo(["test", "--locked", "--workspace", "--no-fail-fast"]);
        command.args(["--lib", "--bins", "--tests"]).args(filter);
        let outcome = run::step(&mut command, SUITE_LIMIT)?;
        let closing = totals::libtest(&outcome.lines);
        report.add("unit", &outcome, closing);
        return Ok(());
    }
    let mut command = run::cargo([
        "nextest",
        "run",
        "--locked",
        "--workspace",
        "--profile",
        "ci",
    ]);
    command
        .args(filter)
        .args(["--no-tests", if filter.is_some() { "pass" } else { "fail" }]);
    let outcome = run::step(&mut command, SUITE_LIMIT)?;
    let mut closing = totals::nextest(&outcome.lines);
    if let (Some(_), Some((_, totals))) = (filter, &mut closing) {
        // With a filter nextest calls every other test skipped; nobody asked for those.
        totals.skipped = 0;
    }
    if let Some((_, totals)) = &mut closing {
        for name in silently_skipped() {
            report
                .lines
                .push(format!("unit: SKIPPED by its own word: {name}"));
            totals.passed = totals.passed.saturating_sub(1);
            totals.skipped += 1;
        }
    }
    report.add("unit", &outcome, closing);
    Ok(())
}

/// Tests of the last nextest run that returned early for want of recorded data.
fn silently_skipped() -> Vec<String> {
    let junit = run::target_dir().join("nextest/ci/junit.xml");
    // No file means that nextest ended before any test: its exit status says so already.
    let text = std::fs::read_to_string(junit).unwrap_or_default();
    totals::skipped_by_their_own_word(&text)
}

/// The examples in doc comments.
fn doc(report: &mut Report) -> Result<()> {
    let mut command = run::cargo(["test", "--locked", "--doc", "--workspace", "--no-fail-fast"]);
    let outcome = run::step(&mut command, SUITE_LIMIT)?;
    report.add("doc", &outcome, totals::libtest(&outcome.lines));
    Ok(())
}

/// The tests that start the built binary and speak to it as a client does.
fn black_box(report: &mut Report, filter: Option<&str>) -> Result<()> {
    if filter.is_some_and(|filter| !black_box_names(filter)) {
        return Ok(()); // Building the binary takes minutes: not for a test that is not there.
    }
    let Some(mut command) = pytest(report)? else {
        return Ok(());
    };
    if let Some(filter) = filter {
        command.args(["-k", filter]);
    }
    let outcome = run::step(&mut command, SUITE_LIMIT)?;
    if filter.is_some() && outcome.code == Some(PYTEST_NO_TESTS) {
        return Ok(());
    }
    report.add("blackbox", &outcome, totals::pytest(&outcome.lines));
    Ok(())
}

/// Whether a black-box test's file, or a word in it, has this name.
fn black_box_names(filter: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(run::root().join("ops/tests")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = || std::fs::read_to_string(entry.path()).unwrap_or_default();
        name.starts_with("test_") && (name.contains(filter) || text().contains(filter))
    })
}

/// Sets up and builds what the black-box tests need. `None` when they cannot run, which the
/// report then says.
fn pytest(report: &mut Report) -> Result<Option<Command>> {
    let missing = host::prepare()?;
    for line in &missing {
        println!("{line}");
    }
    if !host::has_python() {
        report.cannot_run("blackbox", &missing.join("; "));
        return Ok(None);
    }
    let python = match host::python() {
        Ok(python) => python,
        Err(error) => {
            report.cannot_run("blackbox", &format!("{error:#}"));
            return Ok(None);
        }
    };
    let Some(binary) = up::build()? else {
        report.totals.failed += 1;
        report
            .lines
            .push("blackbox: FAILED: the binary does not compile".to_owned());
        return Ok(None);
    };
    Ok(Some(pytest_command(&python, &binary)))
}

fn pytest_command(python: &PathBuf, binary: &PathBuf) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "ops/tests"])
        .current_dir(run::root())
        .env("APEXTRADE_BIN", binary)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// One long run: the same tests with greater counts.
#[derive(Debug)]
pub struct Long {
    pub name: &'static str,
    pub runner: Runner,
    /// Variables that raise the counts.
    pub counts: &'static [(&'static str, &'static str)],
    pub limit: Duration,
}

/// Who runs a long test.
#[derive(Debug, Clone, Copy)]
pub enum Runner {
    /// pytest with `-k` and these words.
    BlackBox(&'static str),
    /// nextest over this package, optimised.
    Package(&'static str),
}

/// Runs the long forms given, one after the other, and closes with their total.
pub fn long(runs: &[&Long]) -> Result<Done> {
    let mut report = Report::default();
    for long in runs {
        let mut command = match long.runner {
            Runner::BlackBox(words) => {
                let Some(mut command) = pytest(&mut report)? else {
                    continue;
                };
                let seconds = long.limit.as_secs().to_string();
                command.args(["-k", words, "--timeout", &seconds]);
                command
            }
            Runner::Package(package) => {
                let mut command = run::cargo(["nextest", "run", "--locked", "--profile", "soak"]);
                command.args(["--cargo-profile", up::PROFILE, "--package", package]);
                command
            }
        };
        command
            .env("APEX_SOAK", "1")
            .envs(long.counts.iter().copied());
        let outcome = run::step(&mut command, long.limit)?;
        let closing = match long.runner {
            Runner::BlackBox(_) => totals::pytest(&outcome.lines),
            Runner::Package(_) => totals::nextest(&outcome.lines),
        };
        report.add(long.name, &outcome, closing);
    }
    Ok(report.close())
}
