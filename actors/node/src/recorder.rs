//! Records the market of a node: carries what its feeds publish to the keeper of the time series.
//!
//! Nothing waits for it. While the series cannot be written it holds what fits, and then leaves the
//! topics to conflate and to count what it misses; the trading of the node goes on.

mod bars;
mod run;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod tests;
mod upkeep;

use crate::NodeError;
use crate::error::storage_advice;
use apex_bus::clock::Clock;
use apex_bus::market::MarketHub;
use apex_gateway::{Dependency, Readiness};
pub use apex_persistence::recorder::Retention;
use apex_persistence::recorder::{Keeper, RecorderFigures, Upkeep};
use apex_storage::{Series, StorageError};
use bars::Checking;
use run::Run;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use upkeep::Upkeeping;

/// How long the last write of a process may take.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Stored bars that were compared with the engine's since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BarFigures {
    pub compared: u64,
    /// Of these.
    pub differ: u64,
}

/// What a recorder is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderState {
    pub figures: RecorderFigures,
    pub bars: BarFigures,
    /// Why the last write failed and what to do, while it does.
    pub failing: Option<String>,
    /// The same of roll-ups and of the days that are made and forgotten.
    pub upkeep_failing: Option<String>,
}

/// What a recorder is doing, for who watches it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RecorderWatch(Arc<Mutex<RecorderState>>);

impl RecorderWatch {
    pub fn state(&self) -> RecorderState {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut RecorderState)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says it once when writing begins to fail, and once when it goes on.
    fn tell(&self, figures: RecorderFigures, error: Option<&StorageError>) {
        let failing = error.map(reason);
        let was = self.state().failing;
        match (&was, &failing) {
            (None, Some(error)) => {
                let held = figures.held;
                tracing::error!(
                    error,
                    held,
                    "market data is not recorded: trading goes on, and it is tried again"
                );
            }
            (Some(_), None) => tracing::info!("market data is recorded again"),
            _ => {}
        }
        self.change(|state| {
            (state.figures, state.failing) = (figures, failing);
        });
    }

    /// The same of what is done beside writing.
    fn tell_upkeep(&self, error: Option<&StorageError>) {
        let failing = error.map(reason);
        match (&self.state().upkeep_failing, &failing) {
            (None, Some(error)) => tracing::error!(
                error,
                "roll-ups of recorded market data fall behind: it is tried again"
            ),
            (Some(_), None) => tracing::info!("roll-ups of recorded market data go on"),
            _ => {}
        }
        self.change(|state| state.upkeep_failing = failing);
    }

    fn add_bars(&self, more: BarFigures) {
        self.change(|state| {
            state.bars.compared += more.compared;
            state.bars.differ += more.differ;
        });
    }
}

/// What to do about a recorder that has ended.
const ENDED: &str = "the recorder has ended: restart the process to record again";

impl Readiness for RecorderWatch {
    fn dependencies(&self) -> Vec<Dependency> {
        let state = self.state();
        let detail = match (&state.failing, &state.upkeep_failing) {
            (None, None) => "market data is recorded".to_owned(),
            (Some(why), _) => {
                let held = state.figures.held;
                format!("market data is not recorded, {held} rows wait: {why}")
            }
            (None, Some(why)) => {
                format!("market data is recorded, its roll-ups fall behind: {why}")
            }
        };
        vec![Dependency {
            name: "recorder".to_owned(),
            // An order is answered without it.
            ok: true,
            degraded: state.failing.is_some() || state.upkeep_failing.is_some(),
            detail,
        }]
    }
}

/// Returns why rows are not written, with what to do.
fn reason(error: &StorageError) -> String {
    match error {
        StorageError::Full { .. } => format!("{error}: free space there, and it goes on by itself"),
        _ => match storage_advice(error) {
            Some(advice) => format!("{error}: {advice}"),
            None => error.to_string(),
        },
    }
}

/// A running recorder.
pub struct Recorder {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    /// Compares bars; `None` where no trades are recorded.
    checking: Option<JoinHandle<()>>,
    watch: RecorderWatch,
    /// For who reads it while this runs.
    _series: Arc<dyn Series>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// Begins to record what is published from now on.
    ///
    /// Errors: a topic that has no seat.
    pub fn start(
        hub: &MarketHub,
        series: Arc<dyn Series>,
        retention: Retention,
        clock: Clock,
    ) -> Result<Recorder, NodeError> {
        const NAME: &str = "recorder";
        let seat = |error| NodeError::Step(format!("the recorder cannot listen: {error}"));
        let quotes = match retention.quotes {
            0 => None,
            _ => Some(hub.quotes.subscribe_async(NAME).map_err(seat)?),
        };
        let (stop, stopped) = watch::channel(false);
        let watch = RecorderWatch::default();
        let run = Run {
            trades: hub.trades.subscribe_async(NAME).map_err(seat)?,
            bars: hub.bars.subscribe_async(NAME).map_err(seat)?,
            quotes,
            hub: hub.clone(),
            definitions: BTreeMap::new(),
            keeper: Some(Keeper::new(series.clone(), retention)),
            writing: None,
            away: 0,
            backlog: Vec::new(),
            watch: watch.clone(),
            stopped: stopped.clone(),
        };
        let upkeep = Upkeeping {
            upkeep: Upkeep::new(series.clone(), retention),
            clock: clock.clone(),
            watch: watch.clone(),
            stopped: stopped.clone(),
        };
        let checking = (retention.trades > 0)
            .then(|| Checking::new(series.clone(), clock, watch.clone(), stopped))
            .map(|checking| tokio::spawn(checking.run()));
        Ok(Recorder {
            stop,
            running: tokio::spawn(run.run()),
            upkeep: tokio::spawn(upkeep.run()),
            checking,
            watch,
            _series: series,
        })
    }

    pub fn watch(&self) -> RecorderWatch {
        self.watch.clone()
    }

    /// Writes what is held, and ends. Call it once the feeds have ended.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if timeout(LAST_WRITE, self.running).await.is_err() {
            tracing::warn!("the last market data was not recorded in time");
        }
        if timeout(LAST_WRITE, self.upkeep).await.is_err() {
            tracing::warn!("a roll-up of market data did not end in time: the next start goes on");
        }
        if let Some(checking) = self.checking
            && timeout(LAST_WRITE, checking).await.is_err()
        {
            tracing::warn!("the comparison of stored bars did not end in time");
        }
    }
}
