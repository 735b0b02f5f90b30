//! The process round a strategy.

use super::config::HostConfig;
use super::error::HostError;
use super::session;
use std::io::{self, BufRead, Read};
use std::process::ExitCode;
use std::thread;

/// Longest configuration: some hundred parameters.
const CONFIG_BYTES: u64 = 64 * 1_024;

/// Runs the strategy that standard input describes: the whole of `apextrade strategy-host`.
///
/// Reads one [`HostConfig`] on one line and then keeps standard input open as a lifeline: when it
/// closes, the parent is gone, and the process ends at once, whatever the strategy does. That
/// holds for a parent that was killed as well, and, unlike Linux's signal on the death of a parent,
/// does not fire when only the thread that started this process has ended.
///
/// Returns 0 when the session ended well, and 1 with one line on standard error when not.
pub fn main_from_stdin() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strategy-host: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), HostError> {
    let config = HostConfig::parse(&first_line(io::stdin().lock())?)?;
    // A thread of its own: it must hear the end even while a strategy spins.
    thread::Builder::new()
        .name("lifeline".into())
        .spawn(end_with_stdin)
        .map_err(|error| HostError::Config(format!("lifeline thread: {error}")))?;
    // One strategy has one thread; the session shares it, so that a strategy that spins falls
    // silent and is noticed.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| HostError::Config(format!("runtime: {error}")))?;
    runtime.block_on(session::run(&config)).map(drop)
}

/// Reads the first line, without its end.
fn first_line(input: impl BufRead) -> Result<String, HostError> {
    let mut line = String::new();
    let read = input.take(CONFIG_BYTES).read_line(&mut line);
    match read {
        Ok(_) if line.ends_with('\n') => Ok(line),
        Ok(0) => Err(HostError::Config("standard input is empty".into())),
        Ok(_) => Err(HostError::Config(format!(
            "standard input has no line within {CONFIG_BYTES} bytes"
        ))),
        Err(error) => Err(HostError::Config(format!("standard input: {error}"))),
    }
}

fn end_with_stdin() {
    let mut nothing = [0; 64];
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.read(&mut nothing) {
            // Closed, or broken, which comes to the same.
            Ok(0) => std::process::exit(0),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => std::process::exit(0),
        }
    }
}

/// An error with its causes; control characters of foreign text would break the line.
fn one_line(error: &HostError) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        line.push_str(": ");
        line.push_str(&source.to_string());
        cause = source.source();
    }
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_is_the_configuration() {
        assert_eq!(first_line(&b"{}\nmore"[..]).unwrap(), "{}\n");
        let no_line = first_line(&b"{}"[..]).unwrap_err().to_string();
        assert!(no_line.contains("no line"), "{no_line}");
        let empty = first_line(&b""[..]).unwrap_err().to_string();
        assert_eq!(empty, "configuration: standard input is empty");
        let endless = vec![b' '; CONFIG_BYTES as usize + 10];
        assert!(first_line(&endless[..]).is_err());
    }

    #[test]
    fn a_failure_is_one_line() {
        let error = HostError::Failed {
            reason: "panicked: a\nb".into(),
        };
        assert_eq!(one_line(&error), "strategy panicked: a b");
    }
}
