//! The tasks beside a session: what it would otherwise have to wait for.

use super::actor::{SessionMessage, Start, StateStore};
use super::commands::Owner;
use apex_bus::handle::{AccountHandle, EventHistory};
use apex_bus::message::{AccountCommand, CommandError, OrderFilter, Page};
use apex_domain::account::Reply;
use apex_domain::order::{Order, OrderKey};
use apex_proto::v1;
use futures::StreamExt;
use ractor::ActorRef;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

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

/// Hands commands to the account in their order and brings its answers back. What was given in is
/// carried out even when the session has ended.
pub fn carry_commands(
    session: ActorRef<SessionMessage>,
    account: AccountHandle,
    commands: mpsc::Receiver<(u64, AccountCommand)>,
) {
    let commands = futures::stream::unfold(commands, |mut commands| async move {
        commands.recv().await.map(|command| (command, commands))
    });
    tokio::spawn(async move {
        // Each is first polled, and so sent, in the order in which it came.
        let answers = commands
            .map(|(command_id, command)| {
                let account = account.clone();
                async move { (command_id, carry(&account, command).await) }
            })
            .buffered(AT_THE_ACCOUNT);
        let mut answers = std::pin::pin!(answers);
        while let Some((command_id, answer)) = answers.next().await {
            // A session that has ended wants no answers.
            let _ = session.cast(SessionMessage::Answered { command_id, answer });
        }
    });
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
    let owner = owner.clone();
    let state = tokio::task::spawn_blocking(move || store.load(&owner))
        .await
        .map_err(|error| error.to_string())??;
    Ok(Start {
        summary,
        orders,
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
