//! The replay itself: one frame after the other, and everything that follows from one before the
//! next.

use crate::NodeError;
use crate::replay::news::News;
use crate::replay::pace::{Pace, Pause};
use crate::replay::progress::Progress;
use crate::stop::stopped;
use apex_bus::clock::Clock;
use apex_bus::handle::AccountHandle;
use apex_bus::message::AccountMessage;
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::UnixNanos;
use apex_domain::account::{AccountInput, Effects};
use apex_domain::market::MarketEvent;
use apex_domain::venue::VenueCommand;
use apex_market_data::Publisher;
use apex_market_data::replay::ReplayFeed;
use apex_remote::strategy_session::account_view;
use apex_strategy::{Due, LockStep};
use ractor::ActorRef;
use ractor::rpc::CallResult;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Commands of clients that may wait for the next frame; as many as an account may have under
/// way. Full: the account is told that the session took nothing, and asks for the outcome.
const COMMANDS_WAITING: usize = 8_192;

/// How long one step may take. A step waits for the disk; one that takes longer than this has no
/// disk to wait for.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// Frames at full speed before the driver lets others on its thread run.
const FRAMES_A_TURN: u32 = 256;

/// The account's way into the replay: what clients order is carried out between two frames.
#[derive(Clone, Debug)]
pub struct ReplaySession {
    commands: mpsc::Sender<VenueCommand>,
}

impl VenueSession for ReplaySession {
    fn send(&self, command: VenueCommand) -> Result<(), NotSent> {
        self.commands.try_send(command).map_err(|_| NotSent)
    }
}

/// Returns a session and the end at which its commands come out.
pub fn session() -> (ReplaySession, mpsc::Receiver<VenueCommand>) {
    let (commands, receiver) = mpsc::channel(COMMANDS_WAITING);
    (ReplaySession { commands }, receiver)
}

/// What a replay is made of.
pub struct ReplayDriver {
    pub feed: ReplayFeed,
    pub publisher: Publisher,
    pub step: LockStep,
    pub account: ActorRef<AccountMessage>,
    /// The same account, to be asked.
    pub handle: AccountHandle,
    pub clock: Clock,
    pub commands: mpsc::Receiver<VenueCommand>,
    pub news: News,
    pub pace: Pace,
    pub pause: Pause,
    pub progress: Progress,
    /// True once the process is to end.
    pub stop: watch::Receiver<bool>,
}

impl std::fmt::Debug for ReplayDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplayDriver")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// What ended a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    EndOfRecording,
    Stopped,
}

impl ReplayDriver {
    /// Runs to the end of the recording, or until `stop`.
    ///
    /// Errors: [`NodeError`] when the recording cannot be read on, or the account has gone.
    pub async fn run(&mut self) -> Result<Ended, NodeError> {
        self.tell_account().await?;
        self.step.start(self.clock.now());
        self.settle().await?;
        let mut frames = 0_u32;
        while let Some(frame) = self.feed.next_frame()? {
            if self.wait_for(frame.ts).await? == Some(Ended::Stopped) {
                return Ok(Ended::Stopped);
            }
            self.clock.advance(frame.ts);
            self.take_commands().await?;
            self.news.tell(&mut self.step);
            self.take_events(&frame.events).await?;
            self.progress.add(1);
            frames = frames.wrapping_add(1);
            if frames.is_multiple_of(FRAMES_A_TURN) {
                tokio::task::yield_now().await;
            }
        }
        self.finish().await?;
        Ok(Ended::EndOfRecording)
    }

    /// Serves clients after the end of the recording: the market stands still.
    ///
    /// Errors: as [`ReplayDriver::run`].
    pub async fn stand_still(&mut self) -> Result<(), NodeError> {
        let mut stop = self.stop.clone();
        loop {
            self.let_arrive().await?;
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                command = self.commands.recv() => match command {
                    Some(command) => self.take_command(command).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// Lets everything that is under way arrive: no frame moves the clock any more.
    async fn let_arrive(&mut self) -> Result<(), NodeError> {
        while self.step.let_arrive() {
            self.clock.advance(self.step.now());
            self.settle().await?;
        }
        Ok(())
    }

    async fn take_events(&mut self, events: &[MarketEvent]) -> Result<(), NodeError> {
        for event in events {
            self.publisher.publish(event, &mut Vec::new());
            self.step.push_market(event.clone());
            self.settle().await?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), NodeError> {
        self.take_commands().await?;
        self.step.stop();
        self.settle().await
    }

    async fn take_commands(&mut self) -> Result<(), NodeError> {
        while let Ok(command) = self.commands.try_recv() {
            self.take_command(command).await?;
        }
        Ok(())
    }

    async fn take_command(&mut self, command: VenueCommand) -> Result<(), NodeError> {
        let effects = Effects {
            commands: vec![command],
            ..Effects::default()
        };
        self.step.on_effects(&effects);
        self.settle().await
    }

    /// Works off everything that follows, before anything else happens.
    async fn settle(&mut self) -> Result<(), NodeError> {
        while let Some(due) = self.step.poll() {
            let Due::Input(now, input) = due else {
                self.tell_account().await?;
                continue;
            };
            let effects = decide(&self.account, now, input).await?;
            self.news.answer(&effects, &mut self.step);
        }
        for note in self.step.take_notes().lines() {
            tracing::info!(strategy_id = %note.strategy_id, "{}", note.text);
        }
        Ok(())
    }

    /// Tells strategies that asked for it how the account stands. It values itself by the market that
    /// was published, up to the present event and no further.
    async fn tell_account(&mut self) -> Result<(), NodeError> {
        if self.step.wants_account() {
            let asked = self.handle.summary().await;
            let summary = asked.map_err(|error| NodeError::Step(error.to_string()))?;
            self.step.set_account(&account_view(&summary));
        }
        Ok(())
    }

    /// Waits until the frame of `ts` is due, serving clients meanwhile.
    async fn wait_for(&mut self, ts: UnixNanos) -> Result<Option<Ended>, NodeError> {
        if *self.stop.borrow() {
            return Ok(Some(Ended::Stopped));
        }
        if self.pause.is_paused() {
            if self.wait_in_pause().await? {
                return Ok(Some(Ended::Stopped));
            }
            self.pace.restart();
        }
        let due = self.pace.due(ts.0);
        if let Some(due) = due
            && self.wait_until(due).await?
        {
            return Ok(Some(Ended::Stopped));
        }
        self.pace.passed(ts.0, due);
        Ok(None)
    }

    /// Returns true when the process is to end.
    async fn wait_until(&mut self, due: Instant) -> Result<bool, NodeError> {
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(true),
                Some(command) = self.commands.recv() => self.take_command(command).await?,
                () = tokio::time::sleep_until(due) => return Ok(false),
            }
        }
    }

    /// Returns true when the process is to end.
    async fn wait_in_pause(&mut self) -> Result<bool, NodeError> {
        let mut stop = self.stop.clone();
        let pause = self.pause.clone();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(true),
                Some(command) = self.commands.recv() => self.take_command(command).await?,
                () = pause.resumed() => return Ok(false),
            }
        }
    }
}

/// Hands an input to the account and waits until what followed is durable.
async fn decide(
    account: &ActorRef<AccountMessage>,
    now: UnixNanos,
    input: AccountInput,
) -> Result<Effects, NodeError> {
    let message = |reply| AccountMessage::Step {
        now,
        input: Box::new(input),
        reply,
    };
    match account.call(message, Some(STEP_TIMEOUT)).await {
        Ok(CallResult::Success(Ok(effects))) => Ok(effects),
        Ok(CallResult::Success(Err(error))) => Err(NodeError::Step(error.to_string())),
        Ok(CallResult::Timeout) => Err(NodeError::Step(format!(
            "no answer within {} s",
            STEP_TIMEOUT.as_secs()
        ))),
        Ok(CallResult::SenderError) | Err(_) => {
            Err(NodeError::Step("the account has stopped".to_owned()))
        }
    }
}
