//! `cargo xtask up`: builds the binary and becomes `apextrade up`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Done, run};

/// The profile of whole-process runs. `fast` is `release` without link-time optimisation: thin
/// LTO re-optimises every dependency at each link, which is for what users install, not for the
/// loop of change and look.
pub const PROFILE: &str = "fast";

/// A cold build of all dependencies, optimised, on two slow cores, with a wide margin.
pub const BUILD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Builds `apextrade` and replaces this process by `apextrade up ARGS`, so that Ctrl-C and
/// SIGTERM reach it directly. Only Rust is needed.
pub fn up(arguments: &[String]) -> Result<Done> {
    if run::root().join("gateway/web").is_dir() && !run::on_path("node") {
        eprintln!(
            "Node.js is missing: the web UI is left out, all else is served \
             (Debian: apt-get install nodejs npm)"
        );
    }
    let Some(binary) = build()? else {
        return Ok(Done::Failed);
    };
    // The caller's folder stays the current one: relative paths in ARGS mean what they say.
    become_program(Command::new(&binary).arg("up").args(arguments))
        .with_context(|| format!("cannot run {}", binary.display()))
}

/// Builds the binary and returns its path, or `None` when it does not compile.
pub fn build() -> Result<Option<PathBuf>> {
    let mut command = run::cargo([
        "build",
        "--locked",
        "--package",
        "apextrade",
        "--profile",
        PROFILE,
    ]);
    if !run::step(&mut command, BUILD_LIMIT)?.ok {
        return Ok(None);
    }
    let name = format!("apextrade{}", std::env::consts::EXE_SUFFIX);
    Ok(Some(run::target_dir().join(PROFILE).join(name)))
}

#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<Done> {
    use std::os::unix::process::CommandExt;
    // `exec` returns only when it failed.
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<Done> {
    Ok(Done::when(command.status()?.success()))
}
