//! The simulated venue's server.

use super::SimVenueError;
use super::core::{Core, CoreInput};
use super::protocol::{ErrorCode, Faults, ServerMessage};
use super::session;
use super::venue::{Venue, line};
use apex_domain::UnixNanos;
use apex_domain::matching::{Latencies, SimOptions};
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

/// Messages of all sessions that wait for the core. Each is worked off within microseconds, so
/// more would only be memory; when it is full, the sockets wait.
const CORE_INPUTS: usize = 1_024;

/// Connections at once. Each account has one; more is a client that reconnects without closing.
const CONNECTIONS: usize = 256;

/// How a venue is run.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where the journal is kept.
    pub data_dir: PathBuf,
    /// The market. `first_number` is set by what the journal holds.
    pub sim: SimOptions,
    /// How often the simulated traders act, and with it how late market data is at most.
    pub step_interval: Duration,
    /// Brings each journal batch to the disk before it is answered.
    pub sync: bool,
    pub faults: Faults,
    /// How long commands, reports and answers take; `None` is no time. Market data takes none.
    pub latencies: Option<Latencies>,
}

impl ServerOptions {
    /// Returns the default market with a seed, its journal in a folder, and no faults.
    pub fn new(data_dir: PathBuf, seed: u64) -> ServerOptions {
        ServerOptions {
            data_dir,
            sim: SimOptions::new(seed),
            // The traders' own turn.
            step_interval: Duration::from_millis(10),
            sync: false,
            faults: Faults::default(),
            latencies: None,
        }
    }
}

/// Serves the venue on a listener until `shutdown` completes. What was answered by then is in
/// the journal; connections are cut.
///
/// Errors: [`SimVenueError`], at the start or when the journal cannot be written.
pub async fn serve(
    listener: TcpListener,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<(), SimVenueError> {
    let venue = Venue::open(&options.data_dir, options.sync, options.sim, now())?;
    info!(data_dir = %options.data_dir.display(), "simulated venue is open");
    let core = Core::new(venue, options.faults, options.latencies);
    let (inputs, waiting) = mpsc::channel(CORE_INPUTS);
    // In a set of its own, so that it ends with the server however that ends, and so that a
    // flood of commands does not keep new connections out.
    let mut core_task = JoinSet::new();
    core_task.spawn(run_core(core, waiting, options.step_interval));
    let mut shutdown = std::pin::pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Only ends by an error, since `inputs` lives as long as this loop.
            Some(ended) = core_task.join_next() => {
                return ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            }
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => {
                let (stream, _peer) = accepted.map_err(SimVenueError::Listener)?;
                if connections.len() < CONNECTIONS {
                    connections.spawn(session::run(stream, inputs.clone()));
                } else {
                    refuse(stream).await;
                }
            }
        }
    }
    connections.shutdown().await;
    // It is stopped between two inputs: each is worked off within one poll.
    core_task.shutdown().await;
    Ok(())
}

async fn run_core(
    mut core: Core,
    mut inputs: mpsc::Receiver<CoreInput>,
    step_interval: Duration,
) -> Result<(), SimVenueError> {
    let mut steps = tokio::time::interval(step_interval);
    // A step acts for all the time since the last one.
    steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = core.next_due();
        let wait = due.map_or(0, |due| due.since(now()).max(0).unsigned_abs());
        tokio::select! {
            biased;
            _tick = steps.tick() => core.step(now())?,
            () = tokio::time::sleep(Duration::from_nanos(wait)), if due.is_some() => {
                core.let_arrive(now())?;
            }
            input = inputs.recv() => match input {
                Some(input) => core.handle(now(), input)?,
                None => return Ok(()),
            },
        }
    }
}

/// Tells a connection that there is no room.
async fn refuse(mut stream: TcpStream) {
    warn!(
        limit = CONNECTIONS,
        "connection to the simulated venue refused"
    );
    let message = line(&ServerMessage::Error {
        code: ErrorCode::Full,
        text: "too many connections".to_owned(),
    });
    // A fresh socket takes this much without waiting.
    let _unheard = stream.write_all(message.as_bytes()).await;
}

fn now() -> UnixNanos {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixNanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
