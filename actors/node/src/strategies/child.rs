//! One child process: its start, its words, its end.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::sync::oneshot;

/// Bytes of one line that are kept; the rest of it is dropped.
const LINE: usize = 1_024;

/// Lines of one process that reach the log: a panic with a backtrace is some hundred. A process
/// that floods would drown everyone else's; the number of lines left out is told at its end.
const LINES: u64 = 1_000;

/// A started process.
#[derive(Debug)]
pub struct Process {
    pub pid: u32,
    child: Child,
    stdin: ChildStdin,
    stderr: ChildStderr,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub status: String,
    /// The last line that it wrote.
    pub last_line: String,
}

impl Exit {
    /// Says in one line why it ended.
    pub fn reason(&self) -> String {
        if self.last_line.is_empty() {
            self.status.clone()
        } else {
            format!("{}: {}", self.status, self.last_line)
        }
    }
}

/// Starts `program strategy-host`. Its standard input is its lifeline: when this process ends in
/// whatever way, that closes, and the child ends itself.
///
/// Errors: what the operating system says.
pub fn spawn(program: &Path) -> io::Result<Process> {
    let mut child = Command::new(program)
        .arg("strategy-host")
        // The environment may hold secrets of this process, and a strategy needs none of it.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A group of its own: a Ctrl-C at the terminal is for the parent, which stops the child
        // in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let gone = || io::Error::other("process ended at once");
    let pid = child.id().ok_or_else(gone)?;
    let stdin = child.stdin.take().ok_or_else(gone)?;
    let stderr = child.stderr.take().ok_or_else(gone)?;
    Ok(Process {
        pid,
        child,
        stdin,
        stderr,
    })
}

/// Gives the process its configuration, logs what it writes, and waits for its end. It is killed
/// when `kill` says so or is dropped.
pub async fn attend(
    process: Process,
    config_line: String,
    name: String,
    kill: oneshot::Receiver<()>,
) -> Exit {
    let Process {
        mut child,
        mut stdin,
        stderr,
        ..
    } = process;
    let words = tokio::spawn(listen(stderr, name));
    let life = async {
        // A process that does not read it will not come to its session either.
        let _ = stdin.write_all(config_line.as_bytes()).await;
        child.wait().await
    };
    let ended = tokio::select! {
        biased;
        _ = kill => None,
        status = life => Some(status),
    };
    let status = match ended {
        Some(status) => status,
        None => {
            // Fails only when it has ended already.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    drop(stdin);
    Exit {
        status: describe(status),
        last_line: words.await.unwrap_or_default(),
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        // `exit status: 1`, `signal: 9 (SIGKILL)`.
        Ok(status) => status.to_string(),
        Err(error) => format!("cannot be waited for: {error}"),
    }
}

/// Logs lines and returns the last one.
async fn listen(mut stderr: impl AsyncRead + Unpin, name: String) -> String {
    let mut lines = Lines::default();
    let mut buffer = [0; 4_096];
    let mut logged = 0_u64;
    loop {
        match stderr.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => lines.push(&buffer[..count], |line| {
                logged += 1;
                if logged <= LINES {
                    tracing::warn!(strategy_id = %name, line, "strategy process says");
                }
            }),
        }
    }
    if logged > LINES {
        let left_out = logged - LINES;
        tracing::warn!(strategy_id = %name, left_out, "strategy process said more");
    }
    lines.last
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    open: Vec<u8>,
    last: String,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for byte in bytes {
            if *byte != b'\n' {
                if self.open.len() < LINE {
                    self.open.push(*byte);
                }
                continue;
            }
            let line = String::from_utf8_lossy(&self.open);
            let line: String = line.chars().filter(|c| !c.is_control()).collect();
            self.open.clear();
            if !line.is_empty() {
                each(&line);
                self.last = line;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_cleaned_and_bounded() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let long = "x".repeat(10_000);
        for part in ["fir", "st\n\nsec\u{1b}[31mond\n", &long, "\nopen"] {
            lines.push(part.as_bytes(), |line| seen.push(line.to_owned()));
        }
        assert_eq!(seen, ["first", "sec[31mond", &long[..LINE]]);
        assert_eq!(lines.last, long[..LINE]);
    }

    #[tokio::test]
    async fn a_process_that_fails_is_described_by_its_last_line() {
        // `ls strategy-host` fails with a line on standard error.
        let process = spawn(Path::new("/bin/ls")).unwrap();
        let (_keep, kill) = oneshot::channel();
        let exit = attend(process, String::new(), "t".into(), kill).await;
        assert!(exit.status.starts_with("exit status: "), "{exit:?}");
        assert!(exit.reason().contains("strategy-host"), "{exit:?}");
    }

    #[tokio::test]
    async fn a_process_is_killed_when_nobody_wants_it_any_more() {
        // `yes` writes for ever to nowhere.
        let process = spawn(Path::new("/usr/bin/yes")).unwrap();
        let (keep, kill) = oneshot::channel();
        drop(keep);
        let exit = attend(process, String::new(), "t".into(), kill).await;
        assert!(exit.status.contains("signal: 9"), "{exit:?}");
    }
}
