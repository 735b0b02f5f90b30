//! One account as a node runs it, on a journal on the disk, with a venue that answers at once and
//! writes down what it takes; and tasks that flood the account with orders. The bench of the kill
//! switch stands on it too.

use apex_bus::clock::Clock;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, AccountMessage, CommandError, VenueLink};
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::account::Reply;
use apex_domain::event::AccountMode;
use apex_domain::market::{Level, Quote, Side};
use apex_domain::matching::SimInstrument;
use apex_domain::order::{Order, OrderStatus, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::risk::{Limits, ReasonCode};
use apex_domain::venue::{EndReason, Execution, NewOrder, VenueCommand, VenueEnd, VenueReport};
use apex_domain::{ClientOrderId, ExecId, Money, Price, Quantity, StrategyId, VenueOrderId};
use apex_node::account::{AccountRuntime, Opening};
use apex_node::stores::Purpose;
use apex_node::up::{Base, NodeOptions, paper_account};
use ractor::ActorRef;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Orders that one task of a flood has under way. Four such tasks stay under the 4,096 commands
/// that the handle lets in, so that it is the account that is the bound.
pub const UNDER_WAY: usize = 256;

/// Whatever is waited for here takes milliseconds; a busy machine may make it seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the venue took, and when.
pub struct Taken {
    pub at: Instant,
    pub command: VenueCommand,
}

impl Taken {
    pub fn is_cancel(&self) -> bool {
        matches!(self.command, VenueCommand::Cancel { .. })
    }
}

/// A session that takes everything and answers as a venue does: market orders trade whole, what
/// is good till canceled rests, any other order ends at once.
#[derive(Default)]
pub struct RecordingVenue {
    account: OnceLock<ActorRef<AccountMessage>>,
    taken: Mutex<Vec<Taken>>,
    reports: AtomicU64,
}

impl RecordingVenue {
    /// Shows what was taken so far.
    pub fn with_taken<R>(&self, look: impl FnOnce(&[Taken]) -> R) -> R {
        look(&self.taken.lock().unwrap())
    }

    pub fn count(&self, is_meant: impl Fn(&Taken) -> bool) -> usize {
        self.with_taken(|taken| taken.iter().filter(|one| is_meant(one)).count())
    }

    /// When the last cancel was handed over.
    pub fn last_cancel(&self) -> Option<Instant> {
        self.with_taken(|taken| {
            let mut cancels = taken.iter().filter(|one| one.is_cancel());
            cancels.next_back().map(|one| one.at)
        })
    }

    fn report(&self, report: VenueReport) {
        let account = self.account.get().expect("nothing is sent before the link");
        let venue_sequence = self.reports.fetch_add(1, Ordering::Relaxed) + 1;
        let _ = account.cast(AccountMessage::Report {
            venue_sequence,
            report,
        });
    }

    fn take_new(&self, order: &NewOrder) {
        let client_order_id = order.client_order_id.clone();
        self.report(VenueReport::Accepted {
            client_order_id: client_order_id.clone(),
            venue_order_id: VenueOrderId::new(client_order_id.as_str()).unwrap(),
            ts_event: Clock::Wall.now(),
        });
        if order.order_type == OrderType::Market {
            self.report(VenueReport::Filled(fill(order)));
        } else if order.time_in_force == TimeInForce::Ioc {
            self.report(ended(client_order_id, EndReason::NoLiquidity));
        }
    }
}

impl VenueSession for RecordingVenue {
    fn send(&self, command: VenueCommand) -> Result<(), NotSent> {
        self.taken.lock().unwrap().push(Taken {
            at: Instant::now(),
            command: command.clone(),
        });
        match &command {
            VenueCommand::New(order) => self.take_new(order),
            VenueCommand::Cancel {
                client_order_id, ..
            } => self.report(ended(client_order_id.clone(), EndReason::Requested)),
            // Nothing is amended here, no order is a stranger's, and no answer is ever so late that
            // it is asked for.
            VenueCommand::Amend { .. }
            | VenueCommand::Query { .. }
            | VenueCommand::CancelForeign { .. } => {}
        }
        Ok(())
    }
}

fn fill(order: &NewOrder) -> Execution {
    let SimInstrument {
        instrument,
        start_price,
        ..
    } = instrument();
    Execution {
        exec_id: ExecId::new(order.client_order_id.as_str()).unwrap(),
        client_order_id: order.client_order_id.clone(),
        instrument_id: instrument.instrument_id,
        side: order.side,
        last_quantity: order.quantity,
        last_price: start_price,
        fee: Money::ZERO,
        fee_currency: instrument.quote_currency,
        maker: false,
        ts_event: Clock::Wall.now(),
    }
}

fn ended(client_order_id: ClientOrderId, reason: EndReason) -> VenueReport {
    VenueReport::Ended {
        client_order_id,
        end: VenueEnd::Canceled,
        reason,
        cumulative_quantity: Quantity::ZERO,
        ts_event: Clock::Wall.now(),
    }
}

pub fn instrument() -> SimInstrument {
    SimInstrument::defaults().remove(0)
}

/// An order over the smallest quantity.
pub fn order(
    client_order_id: &str,
    order_type: OrderType,
    time_in_force: TimeInForce,
) -> SubmitOrder {
    let SimInstrument {
        instrument,
        start_price,
        ..
    } = instrument();
    let is_limit = order_type == OrderType::Limit;
    SubmitOrder {
        client_order_id: ClientOrderId::new(client_order_id).unwrap(),
        strategy_id: StrategyId::manual(),
        instrument_id: instrument.instrument_id,
        side: Side::Buy,
        order_type,
        quantity: instrument.min_quantity,
        limit_price: is_limit.then_some(Price(start_price.0 / 2)),
        time_in_force,
        post_only: false,
        reduce_only: false,
        tags: String::new(),
        misfit: None,
        terms: OrderTerms::default(),
    }
}

/// An account that runs.
pub struct Desk {
    pub base: Base,
    running: AccountRuntime,
    pub venue: Arc<RecordingVenue>,
}

impl Desk {
    /// Opens the account in a folder, or brings it back, and links it to a venue of its own.
    pub async fn start(folder: &Path) -> Desk {
        Desk::start_with(&NodeOptions::in_folder(folder)).await
    }

    /// The same where the options say.
    pub async fn start_with(options: &NodeOptions) -> Desk {
        let base = Base::open(options, Purpose::Live, Clock::Wall).unwrap();
        let opening = Opening {
            account_id: paper_account(),
            mode: AccountMode::Paper,
            instruments: vec![instrument().instrument],
            charter: None,
            now: base.clock.now(),
        };
        let account = base.open_account(&opening).unwrap();
        let venue = Arc::new(RecordingVenue::default());
        let running = base
            .start_account(account, venue.clone(), None)
            .await
            .unwrap();
        venue.account.set(running.actor.clone()).unwrap();
        running
            .actor
            .cast(AccountMessage::Link(VenueLink::Ready))
            .unwrap();
        let desk = Desk {
            base,
            running,
            venue,
        };
        desk.quote();
        desk
    }

    /// A market for the market orders that close.
    fn quote(&self) {
        let SimInstrument {
            instrument,
            start_price,
            lot,
            ..
        } = instrument();
        let level = Some(Level {
            price: start_price,
            quantity: lot,
        });
        let now = self.base.clock.now();
        let quote = Quote {
            instrument_id: instrument.instrument_id.clone(),
            bid: level,
            ask: level,
            ts_event: now,
            ts_init: now,
        };
        self.base
            .market
            .update(&instrument.instrument_id, |view| view.quote = Some(quote));
    }

    pub fn handle(&self) -> &AccountHandle {
        &self.running.handle
    }

    /// Lifts every limit: a paper account takes some thousand orders a second, which is less than
    /// a flood is to reach.
    pub async fn lift_limits(&self) {
        let lift = AccountCommand::SetLimits {
            request_id: None,
            limits: Limits::default(),
            expected_sequence: None,
        };
        self.handle().command(lift).await.unwrap();
    }

    /// Asks until the answer is yes.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn(&Desk) -> bool) {
        let begun = Instant::now();
        while !is_so(self).await {
            assert!(begun.elapsed() < PATIENCE, "waited for {what}");
            tokio::task::yield_now().await;
        }
    }

    /// Ends the account; what it decided is in the folder.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// The kill switch.
pub fn halt(flatten: bool) -> AccountCommand {
    AccountCommand::Halt {
        request_id: None,
        cancel: true,
        flatten,
        by: "operator".to_owned(),
        reason: "test".to_owned(),
    }
}

/// Submits an order and returns it as it was answered, a denied one too.
pub async fn submit(handle: &AccountHandle, request: SubmitOrder) -> Result<Order, CommandError> {
    match handle
        .command(AccountCommand::Submit(Box::new(request)))
        .await?
    {
        Reply::Order(order) => Ok(*order),
        other => panic!("an order is answered with an order, not {other:?}"),
    }
}

/// What became of the orders of a flood.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
    pub taken: usize,
    pub halted: usize,
}

/// Tasks that submit as fast as they are answered.
pub struct Flood {
    stopping: Arc<AtomicBool>,
    answers: Arc<(AtomicU64, AtomicU64)>,
    tasks: JoinSet<()>,
    begun: Instant,
}

impl Flood {
    /// Begins with so many tasks.
    pub fn start(desk: &Desk, tasks: usize, time_in_force: TimeInForce) -> Flood {
        let mut flood = Flood {
            stopping: Arc::default(),
            answers: Arc::default(),
            tasks: JoinSet::new(),
            begun: Instant::now(),
        };
        for task in 0..tasks {
            let (stopping, answers) = (flood.stopping.clone(), flood.answers.clone());
            let handle = desk.handle().clone();
            flood.tasks.spawn(async move {
                let mut under_way = JoinSet::new();
                let mut number = 0;
                while !stopping.load(Ordering::Relaxed) {
                    let id = format!("flood-{task}-{number}");
                    let request = order(&id, OrderType::Limit, time_in_force);
                    number += 1;
                    let handle = handle.clone();
                    under_way.spawn(async move { submit(&handle, request).await });
                    if under_way.len() == UNDER_WAY {
                        let answer = under_way.join_next().await.unwrap();
                        count(&answers, &answer.unwrap());
                    }
                }
                for answer in under_way.join_all().await {
                    count(&answers, &answer);
                }
            });
        }
        flood
    }

    pub fn answered(&self) -> Answered {
        Answered {
            taken: self.answers.0.load(Ordering::Relaxed) as usize,
            halted: self.answers.1.load(Ordering::Relaxed) as usize,
        }
    }

    /// Answers so far in a second.
    pub fn per_second(&self) -> f64 {
        let Answered { taken, halted } = self.answered();
        (taken + halted) as f64 / self.begun.elapsed().as_secs_f64()
    }

    /// Ends the tasks and returns what all their orders were answered.
    pub async fn stop(mut self) -> Answered {
        self.stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.answered()
    }
}

/// Nothing else may happen to an order of a flood than these two.
fn count(answers: &(AtomicU64, AtomicU64), answer: &Result<Order, CommandError>) {
    let order = answer.as_ref().expect("an order is answered");
    match (order.status, order.reason_code) {
        (OrderStatus::Submitted, None) => answers.0.fetch_add(1, Ordering::Relaxed),
        (OrderStatus::Denied, Some(ReasonCode::TradingHalted)) => {
            answers.1.fetch_add(1, Ordering::Relaxed)
        }
        other => panic!("an order of the flood became {other:?}"),
    };
}
