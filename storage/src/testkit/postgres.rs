//! A PostgreSQL server.

use super::port;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts that are tried when a free port was taken meanwhile.
const ATTEMPTS: usize = 5;

const USER: &str = "apex";
/// Looked for in error texts, where it must never be.
const PASSWORD: &str = "a-secret-of-the-test";

/// A server of this test alone.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
    /// Its processes that were stopped and wait to go on.
    paused: Vec<Pid>,
}

impl Postgres {
    /// Starts a server with an empty database `apex`.
    ///
    /// # Errors
    /// When PostgreSQL is not installed (the text says how to get it) or does not start.
    pub fn start() -> io::Result<Postgres> {
        Postgres::start_with(&[])
    }

    /// As [`Postgres::start`], with settings as `name=value`.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_with(settings: &[&str]) -> io::Result<Postgres> {
        let mut server = Postgres {
            folder: tempfile::Builder::new()
                .prefix("apex-postgres-")
                .tempdir()?,
            programs: programs()?,
            port: 0,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            process: None,
            paused: Vec::new(),
        };
        server.make()?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            server.port = port::free()?;
            match server.run() {
                Ok(()) => {
                    server.query("postgres", "CREATE DATABASE apex")?;
                    return Ok(server);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("PostgreSQL was not started")))
    }

    /// Returns the URL of the database `apex`.
    pub fn url(&self) -> String {
        self.url_of("apex")
    }

    /// Returns the URL of another database.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Returns the password, to look for it where it must not be.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it at once, as a crash does, and waits for its end.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        self.end(Signal::KILL)
    }

    /// Stops it in order, cutting its connections.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> io::Result<()> {
        self.end(Signal::INT)
    }

    /// Starts it again on its port, after [`Postgres::kill`] or [`Postgres::stop`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            // Children of a killed server hold its memory for a moment.
            match self.run() {
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Stops all its processes where they are (SIGSTOP): it answers nothing and refuses nothing.
    ///
    /// # Errors
    /// When they cannot be found or stopped.
    pub fn pause(&mut self) -> io::Result<()> {
        let Some(first) = self.process.as_ref().and_then(|it| pid(it.id())) else {
            return Ok(());
        };
        // The first one before its children, so that no further ones come.
        kill_process(first, Signal::STOP)?;
        self.paused.push(first);
        for child in children(first)? {
            // One that has just ended is no child any more.
            let _ = kill_process(child, Signal::STOP);
            self.paused.push(child);
        }
        Ok(())
    }

    /// Lets it go on after [`Postgres::pause`].
    pub fn resume(&mut self) {
        for paused in self.paused.drain(..).rev() {
            // It may have been killed meanwhile.
            let _ = kill_process(paused, Signal::CONT);
        }
    }

    /// Changes a setting of the running server, `name=value`, for sessions old and new.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn set(&self, name: &str, value: &str) -> io::Result<()> {
        self.query("postgres", &format!("ALTER SYSTEM SET {name} = {value}"))?;
        self.query("postgres", "SELECT pg_reload_conf()").map(drop)
    }

    /// Runs a statement as the administrator.
    ///
    /// # Errors
    /// When it fails.
    pub fn query(&self, database: &str, sql: &str) -> io::Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["--set", "ON_ERROR_STOP=1", "--command", sql])
            .arg(self.url_of(database))
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io::Error::other(text))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Returns a command that runs as somebody whom the server accepts: it refuses root.
    fn command(&self, program: &str) -> io::Result<Command> {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path());
        if let Some((user, group)) = unprivileged()? {
            command.uid(user).gid(group);
        }
        Ok(command)
    }

    fn make(&self) -> io::Result<()> {
        let password = self.folder.path().join("password");
        let mut file = std::fs::File::create(&password)?;
        file.write_all(PASSWORD.as_bytes())?;
        if let Some((user, group)) = unprivileged()? {
            chown(self.folder.path(), Some(user), Some(group))?;
            chown(&password, Some(user), Some(group))?;
        }
        let output = self
            .command("initdb")?
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
            .args(["--no-sync", "--no-instructions", "--username", USER])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(self.data())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(io::Error::other(format!("initdb failed: {text}")))
    }

    fn run(&mut self) -> io::Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())?;
        let mut command = self.command("postgres")?;
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut process = command.spawn()?;
        let begun = Instant::now();
        loop {
            if let Some(status) = process.try_wait()? {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                return Err(io::Error::other(format!(
                    "PostgreSQL ended ({status}): {log}"
                )));
            }
            if self.answers() {
                self.process = Some(process);
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                process.kill()?;
                process.wait()?;
                return Err(io::Error::other("PostgreSQL did not answer"));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            && self.query("postgres", "SELECT 1").is_ok()
    }

    fn end(&mut self, signal: Signal) -> io::Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        if let Some(id) = pid(process.id()) {
            kill_process(id, signal)?;
        }
        self.resume();
        process.wait()?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A test that is done needs no orderly end, and one that fails says why by itself.
        let _ = self.end(Signal::QUIT);
    }
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(id as i32)
}

fn children(of: Pid) -> io::Result<Vec<Pid>> {
    let of = of.as_raw_nonzero();
    let listed = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children"))?;
    let ids = listed.split_whitespace().filter_map(|id| id.parse().ok());
    Ok(ids.filter_map(Pid::from_raw).collect())
}

/// Returns the folder of the newest server that is installed.
fn programs() -> io::Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
    {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let version = name.and_then(|name| name.parse().ok());
        if let Some(version) = version.filter(|_| path.join("bin/initdb").exists()) {
            found.push((version, path.join("bin")));
        }
    }
    if let Some((_, path)) = found.into_iter().max() {
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists())
        .ok_or_else(|| {
            not_found(
                "PostgreSQL's server is not installed (Debian and Ubuntu: sudo apt-get install \
                 postgresql)",
            )
        })
}

/// Returns the user and group to run a server as when this process is root's.
fn unprivileged() -> io::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut words = line.split(':').skip(2);
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    Ok(ids("postgres").or_else(|| ids("nobody")))
}

fn not_found(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, text)
}
