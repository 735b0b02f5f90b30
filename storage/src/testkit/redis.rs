//! A Redis server.

use super::port;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const ATTEMPTS: usize = 5;
const PASSWORD: &str = "a-secret-of-the-test";

/// A server of this test alone, which keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    /// Starts a server.
    ///
    /// # Errors
    /// When Redis is not installed (the text says how to get it) or does not start.
    pub fn start() -> io::Result<Redis> {
        let mut server = Redis {
            folder: tempfile::Builder::new().prefix("apex-redis-").tempdir()?,
            port: 0,
            process: None,
        };
        let mut last = None;
        for _ in 0..ATTEMPTS {
            server.port = port::free()?;
            match server.restart() {
                Ok(()) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("Redis was not started")))
    }

    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again on its port, empty.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        let mut process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--requirepass", PASSWORD])
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => io::Error::new(
                    io::ErrorKind::NotFound,
                    "redis-server is not installed (Debian and Ubuntu: sudo apt-get install \
                     redis-server)",
                ),
                _ => error,
            })?;
        let begun = Instant::now();
        loop {
            if let Some(status) = process.try_wait()? {
                return Err(io::Error::other(format!("redis-server ended ({status})")));
            }
            if self.ask("PING").is_ok_and(|answer| answer == "+PONG") {
                self.process = Some(process);
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                process.kill()?;
                process.wait()?;
                return Err(io::Error::other("redis-server did not answer"));
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Sends one command of plain words and returns the first line of the answer.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn ask(&self, command: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "AUTH {PASSWORD}\r\n{command}\r\n")?;
        let mut lines = BufReader::new(stream).lines();
        let mut line = || {
            lines
                .next()
                .unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
        };
        line()?;
        line()
    }

    /// Kills it at once. What it held is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        match self.process.take() {
            Some(mut process) => process.wait().map(drop),
            None => Ok(()),
        }
    }

    /// Stops it where it stands: its connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Redis::freeze`].
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self
            .process
            .as_ref()
            .and_then(|process| Pid::from_raw(process.id() as i32));
        match id {
            Some(id) => Ok(kill_process(id, signal)?),
            None => Ok(()),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Nothing of it outlives it.
        let _ = self.kill();
    }
}
