//! The tasks beside a session: what it would otherwise have to wait for.

use super::actor::{SessionMessage, Start};
use super::args::StateStore;
use super::commands::Owner;
use apex_bus::handle::{AccountHandle, EventHistory};
use apex_bus::message::{AccountCommand, CommandError, OrderFilter, Page, Urgency};
use apex_domain::account::Reply;
use apex_domain::order::{Order, OrderKey};
use apex_proto::v1;
use apex_strategy::ledger::order_prefix;
use futures::StreamExt;
use ractor::{ActorRef, ActorStatus};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Requests of the client that the session has not taken yet; the reader then waits, and with it
/// the client.
const REQUESTS: usize = 64;

/// Commands that may be with the account at a time: what a group commit takes along.
const AT_THE_ACCOUNT: usize = 64;

/// How long the way to the client may be stuck before its last messages are given up.
const STUCK: Duration = Duration::from_secs(5);

/// Orders on one page.
const PAGE: usize = 1_000;

/// Events of the account that are read back at a time.
const HISTORY: usize = 1_000;

/// Hands the client's messages to the session, and tells when there will be no more.
pub fn read_requests(
    session: ActorRef<SessionMessage>,
    mut requests: mpsc::Receiver<v1::StrategyRequest>,
) {
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(REQUESTS));
        while let Some(request) = requests.recv().await {
            // Never closed.
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            if session
                .cast(SessionMessage::Request(request, place))
                .is_err()
            {
                return;
            }
        }
        let _ = session.cast(SessionMessage::ClientGone);
    });
}

/// Carries the session's messages to the client. Ends when the session has ended and all is out.
pub fn write_responses(
    mut outgoing: mpsc::Receiver<v1::StrategyResponse>,
    responses: mpsc::Sender<v1::StrategyResponse>,
) {
    tokio::spawn(async move {
        while let Some(response) = outgoing.recv().await {
            let sent = tokio::time::timeout(STUCK, responses.send(response)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    });
}

/// One thing in the queue to the account.
#[derive(Debug)]
pub enum Queued {
    /// A command of the strategy; the session hears the answer.
    Own {
        command_id: u64,
        command: AccountCommand,
    },
    /// One of the platform, behind all that the strategy asked for before. Without a command it only
    /// tells when those are answered.
    Platform {
        command: Option<AccountCommand>,
        reply: BehindReply,
    },
}

/// Where the answer to a command of the platform goes.
pub type BehindReply = oneshot::Sender<Result<Option<Reply>, CommandError>>;

/// Hands commands to the account in their order and brings its answers back. Of what still waits
/// when the session has ended only cancels and the like are carried out: the strategy's next
/// session may have begun, and an order of the one before would come behind what that one decides.
pub fn carry_commands(
    session: ActorRef<SessionMessage>,
    account: AccountHandle,
    commands: mpsc::Receiver<Queued>,
) {
    let commands = futures::stream::unfold(commands, |mut commands| async move {
        commands.recv().await.map(|command| (command, commands))
    });
    tokio::spawn(async move {
        // Each is first polled, and so sent, in the order in which it came.
        let answers = commands
            .map(|queued| carry_one(&session, account.clone(), queued))
            .buffered(AT_THE_ACCOUNT);
        let mut answers = std::pin::pin!(answers);
        while let Some(answered) = answers.next().await {
            match answered {
                // A session that has ended wants no answers.
                Answered::Own(command_id, answer) => {
                    let _ = session.cast(SessionMessage::Answered { command_id, answer });
                }
                // Nor does a caller that went away.
                Answered::Platform(answer, reply) => drop(reply.send(answer)),
            }
        }
    });
}

enum Answered {
    Own(u64, Result<Reply, CommandError>),
    Platform(Result<Option<Reply>, CommandError>, BehindReply),
}

fn carry_one(
    session: &ActorRef<SessionMessage>,
    account: AccountHandle,
    queued: Queued,
) -> impl Future<Output = Answered> + Send + use<> {
    let has_ended = has_ended(session);
    async move {
        match queued {
            Queued::Own {
                command_id,
                command,
            } => {
                if has_ended && command.urgency() == Urgency::Ordinary {
                    let account_id = account.account_id();
                    tracing::warn!(%account_id, command_id, "dropped: its session has ended");
                    return Answered::Own(command_id, Err(CommandError::Stopped));
                }
                Answered::Own(command_id, carry(&account, command).await)
            }
            Queued::Platform { command, reply } => {
                let answer = match command {
                    Some(command) => account.command(command).await.map(Some),
                    None => Ok(None),
                };
                Answered::Platform(answer, reply)
            }
        }
    }
}

fn has_ended(session: &ActorRef<SessionMessage>) -> bool {
    matches!(
        session.get_status(),
        ActorStatus::Stopping | ActorStatus::Stopped
    )
}

async fn carry(account: &AccountHandle, command: AccountCommand) -> Result<Reply, CommandError> {
    let submitted = match &command {
        AccountCommand::Submit(request) => Some(request.client_order_id.clone()),
        _ => None,
    };
    let answer = account.command(command).await;
    let (Err(CommandError::Timeout { .. }), Some(id)) = (&answer, submitted) else {
        return answer;
    };
    // The question stands behind the order in the account's mailbox: where it is answered, the
    // order was decided on, or never came.
    match account.order(OrderKey::ClientOrderId(id)).await {
        Ok(Some(order)) => Ok(Reply::Order(Box::new(order))),
        Ok(None) => Err(CommandError::Stopped),
        Err(_) => answer,
    }
}

/// Asks how the account stands. One question at a time is under way.
pub fn ask_account(session: ActorRef<SessionMessage>, account: AccountHandle) {
    tokio::spawn(async move {
        let summary = account.summary().await.ok().map(Box::new);
        let _ = session.cast(SessionMessage::Account(summary));
    });
}

/// Reads what a session begins with.
pub fn load(
    session: ActorRef<SessionMessage>,
    account: AccountHandle,
    owner: Owner,
    store: Arc<dyn StateStore>,
) {
    tokio::spawn(async move {
        let start = read_start(&account, &owner, store).await;
        let _ = session.cast(SessionMessage::Start(start.map(Box::new)));
    });
}

async fn read_start(
    account: &AccountHandle,
    owner: &Owner,
    store: Arc<dyn StateStore>,
) -> Result<Start, String> {
    // The account first, then the orders: events in between are in the orders already, and
    // positions count them when they come.
    let summary = account.summary().await.map_err(|error| error.to_string())?;
    let mut orders = pages(account, owner, true).await?;
    orders.extend(pages(account, owner, false).await?);
    let prefix = format!("{}-", order_prefix(&owner.strategy_id));
    let strangers = account.strangers_ids(prefix).await;
    let strangers = strangers.map_err(|error| error.to_string())?;
    let owner = owner.clone();
    let state = tokio::task::spawn_blocking(move || store.load(&owner))
        .await
        .map_err(|error| error.to_string())??;
    Ok(Start {
        summary,
        orders,
        strangers,
        state,
    })
}

/// All working orders, or the newest page of all, which tells how far order ids were counted.
async fn pages(
    account: &AccountHandle,
    owner: &Owner,
    working_only: bool,
) -> Result<Vec<Order>, String> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let filter = OrderFilter {
            instrument_id: None,
            strategy_id: Some(owner.strategy_id.clone()),
            working_only,
        };
        let page = Page {
            cursor,
            limit: PAGE,
        };
        let (orders, next) = account
            .orders(filter, page)
            .await
            .map_err(|error| error.to_string())?;
        all.extend(orders);
        cursor = next;
        if cursor.is_none() || !working_only {
            return Ok(all);
        }
    }
}

/// Reads events of the account back that the topic had to drop.
pub fn read_history(
    session: ActorRef<SessionMessage>,
    history: Arc<dyn EventHistory>,
    owner: Owner,
    after: u64,
) {
    tokio::task::spawn_blocking(move || {
        let events = history
            .events(&owner.account_id, after, HISTORY)
            .map_err(|error| error.to_string());
        let whole = events.as_ref().is_ok_and(|events| events.len() < HISTORY);
        let _ = session.cast(SessionMessage::History { events, whole });
    });
}

/// Logs what a strategy says.
pub fn log(owner: &Owner, level: v1::LogLevel, text: &str) {
    let strategy_id = &owner.strategy_id;
    match level {
        v1::LogLevel::Error => tracing::error!(%strategy_id, text, "strategy says"),
        v1::LogLevel::Warn => tracing::warn!(%strategy_id, text, "strategy says"),
        v1::LogLevel::Debug => tracing::debug!(%strategy_id, text, "strategy says"),
        v1::LogLevel::Info | v1::LogLevel::Unspecified => {
            tracing::info!(%strategy_id, text, "strategy says");
        }
    }
}

/// Keeps a state.
pub fn save(
    session: ActorRef<SessionMessage>,
    store: Arc<dyn StateStore>,
    owner: Owner,
    state: Vec<u8>,
) {
    tokio::task::spawn_blocking(move || {
        if let Err(reason) = store.save(&owner, &state) {
            tracing::error!(strategy_id = %owner.strategy_id, reason, "strategy state is not kept");
        }
        let _ = session.cast(SessionMessage::Saved);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_bus::message::AccountMessage;
    use apex_domain::account::CancelFilter;
    use apex_domain::risk::{ReasonCode, TradingState};
    use apex_domain::{AccountId, Instrument};
    use ractor::{Actor, ActorProcessingErr};
    use std::marker::PhantomData;

    /// Hands each of its messages to the test.
    struct Told<M>(PhantomData<M>);

    impl<M: ractor::Message + Sync> Actor for Told<M> {
        type Msg = M;
        type State = mpsc::UnboundedSender<M>;
        type Arguments = mpsc::UnboundedSender<M>;

        async fn pre_start(
            &self,
            _: ActorRef<M>,
            told: Self::Arguments,
        ) -> Result<Self::State, ActorProcessingErr> {
            Ok(told)
        }

        async fn handle(
            &self,
            _: ActorRef<M>,
            message: M,
            told: &mut Self::State,
        ) -> Result<(), ActorProcessingErr> {
            told.send(message).map_err(|error| error.to_string().into())
        }
    }

    async fn spawn<M: ractor::Message + Sync>() -> (ActorRef<M>, mpsc::UnboundedReceiver<M>) {
        let (sender, told) = mpsc::unbounded_channel();
        let (actor, _) = Actor::spawn(None, Told(PhantomData), sender).await.unwrap();
        (actor, told)
    }

    fn commands() -> Vec<AccountCommand> {
        let state = |state| AccountCommand::SetTradingState {
            request_id: None,
            state,
            by: "test".to_owned(),
            reason: String::new(),
        };
        vec![
            AccountCommand::DefineInstrument(Box::<Instrument>::new(instrument())),
            AccountCommand::CancelAll {
                filter: CancelFilter::default(),
                request_id: None,
                reason_code: ReasonCode::CanceledByUser,
            },
            state(TradingState::Active),
            state(TradingState::Halted),
        ]
    }

    fn instrument() -> Instrument {
        apex_domain::matching::SimInstrument::defaults()
            .remove(0)
            .instrument
    }

    /// The urgency of each command that reaches the account.
    async fn carried(ended: bool) -> Vec<Urgency> {
        let (session, _answers) = spawn::<SessionMessage>().await;
        let (account, mut told) = spawn::<AccountMessage>().await;
        let handle = AccountHandle::new(AccountId::new("a").unwrap(), account);
        let (sender, receiver) = mpsc::channel(8);
        if ended {
            session.stop_and_wait(None, None).await.unwrap();
        }
        carry_commands(session, handle, receiver);
        for (number, command) in commands().into_iter().enumerate() {
            let command_id = number as u64;
            let own = Queued::Own {
                command_id,
                command,
            };
            sender.send(own).await.unwrap();
        }
        drop(sender);
        let mut urgencies = Vec::new();
        while let Some(AccountMessage::Command(command, _, reply)) = told.recv().await {
            urgencies.push(command.urgency());
            let _ = reply.send(Err(CommandError::VenueDown));
            if urgencies.last() == Some(&Urgency::KillSwitch) {
                break;
            }
        }
        urgencies
    }

    #[tokio::test]
    async fn behind_its_end_a_session_takes_exposure_away_and_adds_none() {
        let all = commands();
        let all: Vec<Urgency> = all.iter().map(AccountCommand::urgency).collect();
        assert_eq!(carried(false).await, all);
        let late = [Urgency::Protective, Urgency::KillSwitch];
        assert_eq!(carried(true).await, late);
    }
}
