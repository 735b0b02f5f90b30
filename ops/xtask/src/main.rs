//! Project tasks, run as `cargo xtask <command>`.
//!
//! What a newcomer types is here: run the platform, test everything, check the tree. This crate
//! is compiled before anything else, so it leans on the standard library and `anyhow` alone, and
//! it knows no crate of the platform. Start reading at [`dispatch`]; each command is one module.

mod check;
mod deny;
mod host;
mod run;
mod soak;
mod suites;
mod tidy;
mod totals;
mod up;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  up [-- ARGS]        build apextrade and run `apextrade up ARGS`
  test [--only NAME]  set up what the tests need, then run all of them
                      (NAME: unit, doc, blackbox, or a part of a test's name)
  soak [NAME]         the long forms (NAME: kill, strace, away, sim; all without one)
  sim --seed N        one run of the simulator, told step by step, to repeat a failure
  tidy                the repository's own rules
  deny                dependencies: licences, bans, sources, advisories
  fmt [--check]       rustfmt
  lint                clippy, warnings are errors
  ci                  fmt --check, lint, tidy, deny, test: what .ci/run does";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match dispatch(command, rest) {
        Ok(Done::Passed) => ExitCode::SUCCESS,
        Ok(Done::Failed) => ExitCode::FAILURE,
        Ok(Done::WrongUsage) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How a command ended. `Failed` has already printed what was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Passed,
    Failed,
    WrongUsage,
}

impl Done {
    /// `Passed` when `ok`, otherwise `Failed`.
    pub fn when(ok: bool) -> Self {
        if ok { Self::Passed } else { Self::Failed }
    }
}

fn dispatch(command: &str, rest: &[String]) -> anyhow::Result<Done> {
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (command, words.as_slice()) {
        ("up", ["--", ..]) => up::up(&rest[1..]),
        ("up", _) => up::up(rest),
        ("test", []) => suites::test(None),
        ("test", ["--only", name]) => suites::test(Some(name)),
        ("soak", []) => soak::soak(None),
        ("soak", [name]) => soak::soak(Some(name)),
        ("sim", ["--seed", seed]) => soak::seed(seed),
        ("tidy", []) => tidy::command(),
        ("deny", []) => deny::command(),
        ("fmt", []) => check::fmt(false),
        ("fmt", ["--check"]) => check::fmt(true),
        ("lint", []) => check::lint(),
        ("ci", []) => check::ci(),
        _ => Ok(Done::WrongUsage),
    }
}
