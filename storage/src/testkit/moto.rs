//! A server that speaks S3: the Python package `moto`, in the environment that the black-box tests
//! have.

use super::port;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 5;

/// A server of this test alone; what it holds is in its memory.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    process: Child,
}

impl Moto {
    /// Starts a server.
    ///
    /// # Errors
    /// When `moto_server` is not installed (the text says how to get it) or does not start.
    pub fn start() -> io::Result<Moto> {
        let program = program()?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let port = port::free()?;
            let process = Command::new(&program)
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            let mut server = Moto { port, process };
            match server.wait() {
                Ok(()) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("moto_server was not started")))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn make_bucket(&self, name: &str) -> io::Result<()> {
        // It takes any key, so that a test needs no client to make what it tests with.
        let answer = self.ask(&format!(
            "PUT /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request\r\n\
             Connection: close\r\n\r\n"
        ))?;
        match answer.split_whitespace().nth(1) {
            Some("200") => Ok(()),
            _ => Err(io::Error::other(format!("no bucket was made: {answer}"))),
        }
    }

    fn ask(&self, request: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn wait(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::other(format!("moto_server ended ({status})")));
            }
            let ready = "GET /moto-api/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
            if self.ask(ready).is_ok_and(|answer| answer.contains(" 200 ")) {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Err(io::Error::other("moto_server did not answer"))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Nothing of it outlives it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> io::Result<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/moto_server");
    if installed.exists() {
        return Ok(installed);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("moto_server"))
        .find(|program| program.exists())
        .ok_or_else(|| {
            not_found(
                "moto_server is not installed: `cargo xtask test` installs it, or \
                 `pip install 'moto[server]'`",
            )
        })
}

fn not_found(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, text)
}
