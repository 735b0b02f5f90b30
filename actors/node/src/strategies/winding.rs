//! Pausing and stopping: new orders are refused first, then what works is canceled and what is held
//! is closed, as asked.

use super::changes::{Answered, Change};
use super::deployed::cancel_all;
use super::desk::{Entry, Strategies, down};
use super::keeper::Requested;
use super::sessions::Key;
use apex_bus::message::{AccountCommand, CommandError};
use apex_bus::strategies::{StrategyDeskError, WindDown, WoundDown};
use apex_domain::RequestId;
use apex_domain::account::Reply;
use apex_domain::deployment::{DeploymentState, Desired, Input};
use apex_domain::event::CloseScope;
use apex_domain::order::Order;
use apex_domain::risk::ReasonCode;
use apex_storage::records::Winding;
use std::time::Duration;

/// How often what a pause or stop had not done when the platform ended is tried, a second apart:
/// longer than a venue that is started anew is away. Then the log says it, and the next start of the
/// platform goes on.
const WIND_ATTEMPTS: u32 = 120;
const WIND_PAUSE: Duration = Duration::from_secs(1);

impl Change {
    pub async fn pause(&self, key: Key, cancel: bool) -> Result<WoundDown, StrategyDeskError> {
        let wind = WindDown {
            cancel,
            close: false,
        };
        self.quiet(key, Input::Pause, wind).await
    }

    pub async fn stop(&self, key: Key, wind: WindDown) -> Result<WoundDown, StrategyDeskError> {
        self.quiet(key, Input::Stop, wind).await
    }

    async fn quiet(
        &self,
        key: Key,
        input: Input,
        wind: WindDown,
    ) -> Result<WoundDown, StrategyDeskError> {
        let entry = self.entry(&key)?;
        let (desired, state) = match input {
            Input::Pause => (Desired::Paused, DeploymentState::Paused),
            _ => (Desired::Stopped, DeploymentState::Stopped),
        };
        // At once, whoever has the turn and whatever the store does: nothing more gets out.
        self.block(&entry);
        let _turn = entry.keeper.turn.lock().await;
        let before = entry.seen.borrow().desired;
        if desired == Desired::Paused && !can_pause(before) {
            return self.not_running(&entry).await;
        }
        // Whoever had the turn may have let it order again.
        self.block(&entry);
        let slot = match self.look().await {
            Ok(Requested::Answered(answered)) => {
                return self
                    .repeated(&entry, answered, before, (desired, wind))
                    .await;
            }
            Err(StrategyDeskError::RequestTaken(id)) => {
                self.unblock(&entry, before);
                return Err(StrategyDeskError::RequestTaken(id));
            }
            Ok(Requested::New(slot)) => Ok(slot),
            // It is done all the same, and the caller hears that it is not kept.
            Err(error) => Err(error),
        };
        let mut next = entry.keeper.get();
        next.strategy.desired = desired;
        next.strategy.by = self.by.clone();
        next.strategy.changed_ns = self.now_ns();
        next.strategy.winding = self.winding(wind);
        if desired == Desired::Stopped {
            next.strategy.reason.clear();
        }
        let answered = Answered::new(&key, &next, state);
        let keeping = async {
            let slot = slot?;
            let answer = slot.map(|slot| (slot, answered.clone()));
            entry.keeper.change(next, answer).await
        };
        let request_id = self.asked.as_ref().map(|asked| asked.request_id.clone());
        // Beside each other: what takes exposure away does not wait for the store.
        let (kept, wound) = tokio::join!(keeping, self.desk.wind(&entry, request_id, wind));
        self.tell(&entry, input).await?;
        if desired == Desired::Stopped {
            down(&entry).await;
        }
        if let Err(error) = kept {
            entry.keeper.keep_as_seen(entry.seen.clone());
            return Err(error);
        }
        let canceled = match wound {
            Ok(canceled) => canceled,
            Err(error) => {
                // It was kept that this is to be done: the caller hears that it is not done yet.
                self.desk.finish_winding(entry.clone());
                return Err(error.into());
            }
        };
        self.desk.wound(&entry).await;
        Ok(WoundDown {
            strategy: answered.strategy(),
            canceled,
            closing: wind.close,
        })
    }

    fn block(&self, entry: &Entry) {
        if can_pause(entry.seen.borrow().desired) {
            self.desk.0.around.sessions.admit(&entry.key, true);
        }
    }

    fn unblock(&self, entry: &Entry, desired: Desired) {
        if desired == Desired::Running {
            self.desk.0.around.sessions.admit(&entry.key, false);
        }
    }

    fn winding(&self, wind: WindDown) -> Option<Winding> {
        let asked = self.asked.as_ref()?;
        (wind.cancel || wind.close).then(|| Winding {
            request_id: asked.request_id.to_string(),
            cancel: wind.cancel,
            close: wind.close,
        })
    }

    /// Answers a request that was answered before. Its orders and positions are seen to again where
    /// the strategy still is as it was wanted: the first attempt may have been cut off.
    async fn repeated(
        &self,
        entry: &Entry,
        answered: Answered,
        before: Desired,
        (desired, wind): (Desired, WindDown),
    ) -> Result<WoundDown, StrategyDeskError> {
        self.unblock(entry, before);
        let mut canceled = Vec::new();
        if before == desired {
            let request_id = self.asked.as_ref().map(|asked| asked.request_id.clone());
            canceled = self.desk.wind(entry, request_id, wind).await?;
        }
        Ok(WoundDown {
            strategy: answered.strategy(),
            canceled,
            closing: wind.close,
        })
    }

    /// Refuses a pause of what does not run, unless it is the repetition of one that was answered.
    async fn not_running(&self, entry: &Entry) -> Result<WoundDown, StrategyDeskError> {
        if let Requested::Answered(answered) = self.look().await? {
            return Ok(WoundDown {
                strategy: answered.strategy(),
                canceled: Vec::new(),
                closing: false,
            });
        }
        Err(StrategyDeskError::Rule {
            code: "STRATEGY_NOT_RUNNING",
            detail: format!(
                "strategy \"{}\" does not run: there is nothing to pause",
                entry.key.1
            ),
        })
    }
}

fn can_pause(desired: Desired) -> bool {
    matches!(desired, Desired::Running | Desired::Paused)
}

impl Strategies {
    /// Sees to the orders and positions of a strategy whose new orders are refused. Returns the
    /// orders whose cancel was decided.
    ///
    /// Errors: what the account says.
    async fn wind(
        &self,
        entry: &Entry,
        request_id: Option<RequestId>,
        wind: WindDown,
    ) -> Result<Vec<Order>, CommandError> {
        let (account_id, strategy_id) = &entry.key;
        let sessions = &self.0.around.sessions;
        let accounts = &sessions.platform().accounts;
        let account = accounts.get(account_id).ok_or(CommandError::Stopped)?;
        let cancel = wind
            .cancel
            .then(|| cancel_all(strategy_id, ReasonCode::CanceledByUser));
        // Behind what it had asked for before, so that nothing comes after the cancel.
        let answer = match (sessions.behind(&entry.key, cancel.clone()).await, cancel) {
            (Some(answer), _) => answer?,
            (None, Some(cancel)) => Some(account.command(cancel).await?),
            (None, None) => None,
        };
        if wind.close {
            let close = AccountCommand::Close {
                scope: CloseScope {
                    instrument_id: None,
                    strategy_id: Some(strategy_id.clone()),
                    client_order_id: None,
                },
                request_id,
            };
            account.command(close).await?;
        }
        Ok(match answer {
            Some(Reply::Orders(orders)) => orders,
            _ => Vec::new(),
        })
    }

    /// Notes that nothing is left to do. Called by who holds the turn.
    async fn wound(&self, entry: &Entry) {
        let mut next = entry.keeper.get();
        if next.strategy.winding.take().is_none() {
            return;
        }
        let nothing = None::<(apex_storage::records::requests::Slot, ())>;
        if let Err(error) = entry.keeper.change(next, nothing).await {
            // The next start does it again, which changes nothing.
            tracing::warn!(strategy_id = %entry.key.1, %error, "what is done is not noted");
        }
    }

    /// Does what a pause or stop had not done when the platform ended.
    pub(super) fn finish_winding(&self, entry: Entry) {
        if entry.keeper.get().strategy.winding.is_none() {
            return;
        }
        let own = self.clone();
        tokio::spawn(async move {
            for _ in 0..WIND_ATTEMPTS {
                let _turn = entry.keeper.turn.lock().await;
                // A start in the meantime has taken it back.
                let Some(winding) = entry.keeper.get().strategy.winding else {
                    return;
                };
                let wind = WindDown {
                    cancel: winding.cancel,
                    close: winding.close,
                };
                let request_id = RequestId::new(&winding.request_id).ok();
                match own.wind(&entry, request_id, wind).await {
                    Ok(_) => return own.wound(&entry).await,
                    Err(error) => {
                        tracing::warn!(
                            strategy_id = %entry.key.1, %error,
                            "orders and positions of a strategy are not seen to yet"
                        );
                    }
                }
                drop(_turn);
                tokio::time::sleep(WIND_PAUSE).await;
            }
        });
    }
}
