//! Handles: how the rest of the house talks to actors without knowing where they run.

use crate::accounts::{AccountDesk, Accounts};
use crate::exposure::ExposureHandle;
use crate::market::MarketHub;
use crate::market_history::MarketHistory;
use crate::message::{
    AccountAnswer, AccountCommand, AccountEvent, AccountMessage, AccountQuery, AccountSummary,
    ClosingAnswer, CommandError, OrderFilter, Page, ReconcileState, Urgency,
};
use crate::order_feed::OrderFeed;
use crate::topic::Topic;
use apex_domain::account::{Account, ExecutionRecord, Preview, Reply, SessionRef};
use apex_domain::event::Recorded;
use apex_domain::order::{Order, OrderKey, SubmitOrder};
use apex_domain::risk::platform::ShareOffer;
use apex_domain::{AccountId, ClientOrderId, RequestId, UnixNanos};
use ractor::rpc::CallResult;
use ractor::{ActorRef, RpcReplyPort};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a caller waits for an answer. A group commit takes milliseconds; a disk that stalls
/// for longer than this is a fault that the caller has to hear of.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// An account, wherever it runs. Cheap to clone.
#[derive(Clone)]
pub struct AccountHandle {
    account_id: AccountId,
    actor: ActorRef<AccountMessage>,
    /// Places for commands under way, one count a class of [`Urgency`].
    under_way: [Arc<Semaphore>; 3],
}

impl fmt::Debug for AccountHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountHandle")
            .field("account_id", &self.account_id)
            .finish()
    }
}

impl AccountHandle {
    pub fn new(account_id: AccountId, actor: ActorRef<AccountMessage>) -> AccountHandle {
        let places = |urgency: Urgency| Arc::new(Semaphore::new(urgency.under_way()));
        AccountHandle {
            account_id,
            actor,
            under_way: Urgency::ALL.map(places),
        }
    }

    pub fn account_id(&self) -> &AccountId {
        &self.account_id
    }

    /// Hands a command to the account and returns its answer once it is durable. The more urgent
    /// classes of commands have places of their own: a flood of orders keeps no cancel and no
    /// kill switch out.
    ///
    /// Errors: [`CommandError`], of which `Overloaded` when the places of the command's class are
    /// taken; after `Timeout` the outcome is open and must be asked for.
    pub async fn command(&self, command: AccountCommand) -> Result<Reply, CommandError> {
        self.begin(command, None)?.answer().await
    }

    /// Hands a command to the account at once, behind all that was handed over before it, and
    /// leaves the answer for later. With a session its orders are that session's.
    ///
    /// Errors: `Overloaded`, `Stopped`; the command was not handed over.
    pub fn begin(
        &self,
        command: AccountCommand,
        session: Option<SessionRef>,
    ) -> Result<UnderWay, CommandError> {
        let urgency = command.urgency();
        let places = self.under_way[urgency as usize].clone();
        let place = places
            .try_acquire_owned()
            .map_err(|_| CommandError::Overloaded {
                limit: urgency.under_way(),
            })?;
        let (reply, answer) = ractor::concurrency::oneshot();
        let (reply, now) = (RpcReplyPort::from(reply), Instant::now());
        let message = match session {
            None => AccountMessage::Command(command, now, reply),
            Some(session) => AccountMessage::SessionCommand(session, command, now, reply),
        };
        self.actor
            .send_message(message)
            .map_err(|_| CommandError::Stopped)?;
        Ok(UnderWay {
            answer,
            _place: place,
        })
    }

    /// Returns the order, if the account has it.
    ///
    /// Errors: `Timeout`, `Stopped`.
    pub async fn order(&self, key: OrderKey) -> Result<Option<Order>, CommandError> {
        match self.query(AccountQuery::Order(key)).await? {
            AccountAnswer::Order(order) => Ok(order.map(|order| *order)),
            _ => Err(CommandError::Stopped),
        }
    }

    /// Returns a page of orders, newest first, and the cursor of the next page.
    ///
    /// Errors: `Timeout`, `Stopped`.
    pub async fn orders(
        &self,
        filter: OrderFilter,
        page: Page,
    ) -> Result<(Vec<Order>, Option<u64>), CommandError> {
        match self.query(AccountQuery::Orders { filter, page }).await? {
            AccountAnswer::Orders { orders, next } => Ok((orders, next)),
            _ => Err(CommandError::Stopped),
        }
    }

    /// Returns a page of executions, oldest first, and the cursor
    /// of the next page.
    ///
    /// Errors: `Timeout`, `Stopped`.
    pub async fn executions(
        &self,
        page: Page,
    ) -> Result<(Vec<ExecutionRecord>, Option<u64>), CommandError> {
        match self.query(AccountQuery::Executions { page }).await? {
            AccountAnswer::Executions { executions, next } => Ok((executions, next)),
            _ => Err(CommandError::Stopped),
        }
    }

    /// Returns what a new order would be and do; decides nothing.
    ///
    /// Errors: `Refused` with what a submit would be refused with, `Timeout`, `Stopped`.
    pub async fn preview(&self, request: SubmitOrder) -> Result<Preview, CommandError> {
        match self.query(AccountQuery::Preview(Box::new(request))).await? {
            AccountAnswer::Preview(answer) => (*answer).map_err(CommandError::Refused),
            _ => Err(CommandError::Stopped),
        }
    }

    /// Returns the account as it stands.
    ///
    /// Errors: `Timeout`, `Stopped`.
    pub async fn summary(&self) -> Result<AccountSummary, CommandError> {
        match self.query(AccountQuery::Summary).await? {
            AccountAnswer::Summary(summary) => Ok(*summary),
            _ => Err(CommandError::Stopped),
        }
    }

    /// Hands the account what the platform says about its share. One that has stopped hears it
    /// again once it is back.
    pub fn offer_share(&self, offer: ShareOffer) {
        let _ = self.actor.cast(AccountMessage::Share(offer));
    }

    /// Returns how the account stands with its venue.
    ///
    /// Errors: `Timeout`, `Stopped`.
    pub async fn reconciliation(&self) -> Result<ReconcileState, CommandError> {
        match self.query(AccountQuery::Reconciliation).await? {
            AccountAnswer::Reconciliation(state) => Ok(*state),
            _ => Err(CommandError::Stopped),
        }
    }

    /// Returns how the closing stands that a request began; `None` where it began none.
    ///
    /// Errors: `Timeout`, `Stopped`.
    pub async fn closing(
        &self,
        request_id: RequestId,
    ) -> Result<Option<ClosingAnswer>, CommandError> {
        match self.query(AccountQuery::Closing(request_id)).await? {
            AccountAnswer::Closing(answer) => Ok(answer.map(|answer| *answer)),
            _ => Err(CommandError::Stopped),
        }
    }

    /// Returns the ids that the venue has from orders that the account does not know, as far as they
    /// begin with `prefix`: no order may get one of them.
    ///
    /// Errors: `Timeout`, `Stopped`.
    pub async fn strangers_ids(&self, prefix: String) -> Result<Vec<ClientOrderId>, CommandError> {
        match self.query(AccountQuery::StrangersIds { prefix }).await? {
            AccountAnswer::StrangersIds(ids) => Ok(ids),
            _ => Err(CommandError::Stopped),
        }
    }

    async fn query(&self, query: AccountQuery) -> Result<AccountAnswer, CommandError> {
        self.call(|reply| AccountMessage::Query(query, reply)).await
    }

    async fn call<R: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<R>) -> AccountMessage,
    ) -> Result<R, CommandError> {
        match self.actor.call(message, Some(ANSWER_TIMEOUT)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout) => Err(CommandError::Timeout {
                timeout_ms: ANSWER_TIMEOUT.as_millis() as u64,
            }),
            Ok(CallResult::SenderError) | Err(_) => Err(CommandError::Stopped),
        }
    }
}

/// A command that was handed over. Dropped, it is carried out all the same, and nobody hears how.
#[derive(Debug)]
pub struct UnderWay {
    answer: ractor::concurrency::OneshotReceiver<Result<Reply, CommandError>>,
    /// Held until the answer is there, or nobody waits for it.
    _place: OwnedSemaphorePermit,
}

impl UnderWay {
    /// Returns the answer once it is durable.
    ///
    /// Errors: as [`AccountHandle::command`].
    pub async fn answer(self) -> Result<Reply, CommandError> {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CommandError::Stopped),
            Err(_) => Err(CommandError::Timeout {
                timeout_ms: ANSWER_TIMEOUT.as_millis() as u64,
            }),
        }
    }
}

/// Why the past of an account cannot be read.
#[derive(Debug, Error)]
pub enum HistoryError {
    #[error("account \"{0}\" has no journal here")]
    NoJournal(AccountId),
    #[error("journal of account \"{account_id}\" cannot be read: {detail}")]
    Unreadable {
        account_id: AccountId,
        detail: String,
    },
}

/// Why an account as it was cannot be shown.
#[derive(Debug, Error)]
pub enum PastError {
    /// There was no such account at that time.
    #[error("account \"{account_id}\" was opened later, at {} ns", .opened.0)]
    NotOpenYet {
        account_id: AccountId,
        opened: UnixNanos,
    },
    /// The journal up to that time was not folded within the limit. What was folded is kept:
    /// asking again for the same time goes on behind it.
    #[error("journal of account \"{account_id}\" was folded up to sequence {sequence} only")]
    TooLong {
        account_id: AccountId,
        sequence: u64,
    },
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// The durable past of accounts, for streams that resume and for reads of the past. Blocking: call it off the runtime's
/// worker threads.
pub trait EventHistory: Send + Sync {
    /// Returns up to `limit` events with sequences above `after`, each with the order as it
    /// stood after it.
    ///
    /// Errors: [`HistoryError`].
    fn events(
        &self,
        account_id: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AccountEvent>, HistoryError>;

    /// Returns up to `limit` events with sequences above `after` as they stand in the journal.
    /// Much cheaper than [`EventHistory::events`], since nothing is folded.
    ///
    /// Errors: [`HistoryError`].
    fn records(
        &self,
        account_id: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, HistoryError>;

    /// Returns the account as it was at `at`: after each event that was decided up to then,
    /// inclusive. It is folded from the journal, and the running account takes no part in it.
    /// Gives up when it has taken longer than `limit`.
    ///
    /// Errors: [`PastError`].
    fn as_of(
        &self,
        account_id: &AccountId,
        at: UnixNanos,
        limit: Duration,
    ) -> Result<Arc<Account>, PastError>;
}

/// How the process runs, for the mode band of every client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// A live feed and a simulated venue.
    Paper,
    /// A simulated market.
    Simulated,
    Replay,
}

/// Everything that a front end needs of a running node. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    pub mode: RunMode,
    pub accounts: Accounts,
    /// Makes accounts; `None` where a run has those that it has, as a replay.
    pub desk: Option<Arc<dyn AccountDesk>>,
    pub market: MarketHub,
    /// Tells single orders; `None` where the feed has levels only, as recordings do.
    pub order_feed: Option<OrderFeed>,
    /// Durable events of all accounts of this node.
    pub account_events: Topic<AccountEvent>,
    pub history: Arc<dyn EventHistory>,
    /// Recorded market data; `None` where a run records none, as a replay.
    pub market_history: Option<Arc<dyn MarketHistory>>,
    /// The limit over all accounts; `None` where a run keeps none, as a replay.
    pub exposure: Option<ExposureHandle>,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("accounts", &self.accounts)
            .finish()
    }
}
