//! Runs other programs: says what runs, passes its output through, keeps the last of it, and
//! never waits without a limit.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Lines kept of a program's output. The closing lines of every runner are among the last few
/// hundred; 20,000 holds every crate's doc-test summary too. Older lines are dropped from the
/// copy only, they have been printed.
const KEPT_LINES: usize = 20_000;

/// How long an interrupted program may take to clean up before it is killed.
const GRACE: Duration = Duration::from_secs(15);

/// What became of a program.
#[derive(Debug)]
pub struct Outcome {
    /// It ended by itself with status 0.
    pub ok: bool,
    /// Its exit status; `None` when a signal or the time limit ended it.
    pub code: Option<i32>,
    /// The last lines of its output, standard output and error in order of arrival.
    pub lines: Vec<String>,
}

/// The folder of the workspace's root `Cargo.toml`.
pub fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`; the compiled-in path serves a bare binary.
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest_dir
        .ancestors()
        .nth(2)
        .map_or(manifest_dir.clone(), PathBuf::from)
}

/// The folder that cargo builds into.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A `cargo` command in the workspace's root.
pub fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Cargo's own variables of the xtask package would make build scripts look changed.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command.args(arguments).current_dir(root());
    command
}

/// Prints the command, runs it to its end or to `limit`, passes its output through and prints
/// how long it took.
///
/// # Errors
/// When the program cannot be started. A program that fails or runs out of time is an [`Outcome`].
pub fn step(command: &mut Command, limit: Duration) -> Result<Outcome> {
    let shown = show(command);
    // On standard error: the standard output of `up --json` is exactly one JSON object.
    eprintln!("==> {shown}");
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| pass_through(pipe, std::io::stdout(), &kept)),
        child
            .stderr
            .take()
            .map(|pipe| pass_through(pipe, std::io::stderr(), &kept)),
    ];
    let status = wait(&mut child, limit)?;
    // A daemon that the program left behind may hold the pipe open: wait for it only briefly.
    let readers_end = Instant::now() + Duration::from_secs(5);
    for reader in readers.into_iter().flatten() {
        while !reader.is_finished() && Instant::now() < readers_end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let (word, ok, code) = match status {
        Some(status) if status.success() => ("ok".to_owned(), true, Some(0)),
        Some(status) => (format!("FAILED ({status})"), false, status.code()),
        None => (
            format!("FAILED (stopped after {} s)", limit.as_secs()),
            false,
            None,
        ),
    };
    eprintln!("<== {word}, {seconds:.1} s: {shown}");
    let lines = std::mem::take(&mut *kept.lock().unwrap_or_else(|poison| poison.into_inner()));
    Ok(Outcome {
        ok,
        code,
        lines: lines.into(),
    })
}

/// Runs a short question quietly and returns its standard output, or `None` when the program
/// is missing, fails, or takes longer than 60 seconds (it then counts as missing).
pub fn ask(command: &mut Command) -> Option<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut pipe = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let status = wait(&mut child, Duration::from_secs(60)).ok()??;
    if !status.success() {
        return None;
    }
    reader.join().ok()?.ok()
}

/// Whether a program of this name is on the PATH.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Waits until the child ends or the limit passes; then interrupts it, and kills it when it has
/// not ended within [`GRACE`]. `None`: the limit passed.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    if let Some(status) = wait_until(child, Instant::now() + limit)? {
        return Ok(Some(status));
    }
    // Test runners clean up after SIGINT (they stop what they started), not after SIGKILL.
    let _ = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    if wait_until(child, Instant::now() + GRACE)?.is_none() {
        child
            .kill()
            .context("cannot kill the program that ran out of time")?;
        child.wait().context("cannot wait for the killed program")?;
    }
    Ok(None)
}

fn wait_until(child: &mut Child, end: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for the program")? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn pass_through(
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    kept: &Arc<Mutex<VecDeque<String>>>,
) -> std::thread::JoinHandle<()> {
    let kept = Arc::clone(kept);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            let _ = to.write_all(&line);
            let _ = to.flush();
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut kept = kept.lock().unwrap_or_else(|poison| poison.into_inner());
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(text);
            line.clear();
        }
    })
}

/// The command as one would type it, with the variables that were set for it.
fn show(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)))
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        .collect();
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    words.push(name.to_string_lossy().into_owned());
    words.extend(command.get_args().map(|argument| {
        let argument = argument.to_string_lossy();
        if argument.contains(' ') {
            format!("'{argument}'")
        } else {
            argument.into_owned()
        }
    }));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_status_of_a_program_are_kept() {
        let outcome = step(&mut shell("echo one; exit 3"), GRACE).unwrap();
        assert!(!outcome.ok);
        assert_eq!(outcome.code, Some(3));
        assert_eq!(outcome.lines, ["one"]);
    }

    #[test]
    fn a_program_past_its_limit_is_stopped() {
        let begin = Instant::now();
        let outcome = step(&mut shell("exec tail -f /dev/null"), Duration::ZERO).unwrap();
        assert!(!outcome.ok);
        assert_eq!(outcome.code, None);
        assert!(begin.elapsed() < GRACE);
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = step(&mut Command::new("no-such-program"), GRACE).unwrap_err();
        assert!(error.to_string().contains("no-such-program"));
        assert_eq!(ask(&mut Command::new("no-such-program")), None);
        assert!(!on_path("no-such-program"));
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/usr/bin/env");
        command.args(["-k", "a or b"]).env("APEX_SOAK", "1");
        assert_eq!(show(&command), "APEX_SOAK=1 env -k 'a or b'");
    }
}
