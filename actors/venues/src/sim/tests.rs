//! The venue over real sockets of the loopback, and its core where an order of events must be
//! exact.

mod core;
mod kinds;
mod wire;

use super::client::{CommandSender, ConnectOptions, EventStream, SimVenueClient, VenueEvent};
use super::server::{ServerOptions, serve};
use super::{SimVenueError, journal};
use apex_domain::market::Side;
use apex_domain::order::{OrderTerms, OrderType, TimeInForce};
use apex_domain::venue::{NewOrder, VenueCommand, VenueReport};
use apex_domain::{AccountId, ClientOrderId, InstrumentId, Price, Quantity};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(super) const BTC: &str = "BTCUSDT.SIM";

/// Under the start price by so much that nobody trades there.
pub(super) const DEEP: i64 = 5_500_000;

pub(super) fn account(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}

pub(super) fn client_id(id: &str) -> ClientOrderId {
    ClientOrderId::new(id).unwrap()
}

pub(super) fn order(id: &str, side: Side, limit: Option<i64>, quantity: i64) -> NewOrder {
    NewOrder {
        client_order_id: client_id(id),
        instrument_id: InstrumentId::new(BTC).unwrap(),
        side,
        order_type: limit.map_or(OrderType::Market, |_| OrderType::Limit),
        quantity: Quantity(quantity),
        limit_price: limit.map(Price),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        terms: OrderTerms::default(),
    }
}

pub(super) fn new(id: &str, limit: Option<i64>, quantity: i64) -> VenueCommand {
    VenueCommand::New(order(id, Side::Buy, limit, quantity))
}

pub(super) fn cancel(id: &str) -> VenueCommand {
    VenueCommand::Cancel {
        client_order_id: client_id(id),
        instrument_id: InstrumentId::new(BTC).unwrap(),
    }
}

pub(super) fn amend(id: &str, quantity: i64, limit_price: Option<i64>) -> VenueCommand {
    VenueCommand::Amend {
        client_order_id: client_id(id),
        instrument_id: InstrumentId::new(BTC).unwrap(),
        quantity: Quantity(quantity),
        limit_price: limit_price.map(Price),
        stop_price: None,
    }
}

pub(super) fn query(id: &str) -> VenueCommand {
    VenueCommand::Query {
        client_order_id: client_id(id),
        instrument_id: InstrumentId::new(BTC).unwrap(),
    }
}

/// Writes a report shortly, so that a case reads as a line.
pub(super) fn short(sequence: u64, report: &VenueReport) -> String {
    let id = report.client_order_id();
    let id = id.map_or("", |id| id.as_str());
    let what = match report {
        VenueReport::Accepted { .. } => "accepted".to_owned(),
        VenueReport::Rejected { reason, .. } => format!("rejected {reason:?}"),
        VenueReport::Filled(execution) => format!("filled {}", execution.last_quantity.0),
        VenueReport::Ended { reason, .. } => format!("ended {reason:?}"),
        VenueReport::Triggered { .. } => "triggered".to_owned(),
        VenueReport::Busted { .. } => "busted".to_owned(),
        VenueReport::Amended { quantity, .. } => format!("amended {}", quantity.0),
        VenueReport::AmendRejected { .. } => "amend rejected".to_owned(),
        VenueReport::CancelRejected { .. } => "cancel rejected".to_owned(),
        VenueReport::Status {
            status, executions, ..
        } => format!("{status:?} with {}", executions.len()),
        VenueReport::NotFound { proof, .. } => format!("not found, proof {proof}"),
        VenueReport::Funding { payment, .. } => format!("funding {}", payment.amount),
    };
    format!("{sequence} {id} {what}")
}

/// A venue in a folder, listening on a port of its own.
pub(super) struct TestVenue {
    pub(super) address: String,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), SimVenueError>>,
    /// The server's own, so that it can be ended together with all its tasks.
    runtime: Option<Runtime>,
}

impl Drop for TestVenue {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl TestVenue {
    /// Starts a venue whose market stands still behind its opening.
    pub(super) async fn start(folder: &Path) -> TestVenue {
        let mut options = ServerOptions::new(folder.to_owned(), 7);
        options.step_interval = Duration::from_secs(3_600);
        TestVenue::start_with(options).await
    }

    pub(super) async fn start_with(options: ServerOptions) -> TestVenue {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (bound, listening) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let server = runtime.spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            let stopped = async {
                let _dropped = stopped.await;
            };
            serve(listener, options, stopped).await
        });
        TestVenue {
            address: listening.await.unwrap().to_string(),
            stop: Some(stop),
            server,
            runtime: Some(runtime),
        }
    }

    pub(super) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.server).await.unwrap().unwrap();
    }

    /// Ends the server where it stands, connections and all.
    pub(super) async fn kill(mut self) {
        let runtime = self.runtime.take();
        // Waits until the last of its tasks is gone.
        let dropped = tokio::task::spawn_blocking(move || drop(runtime));
        dropped.await.unwrap();
    }

    pub(super) async fn log_on(&self, next: u64) -> Peer {
        let options = ConnectOptions::new(self.address.clone(), account("a"), next);
        Peer::connect(options).await
    }
}

/// A client and what it saw.
pub(super) struct Peer {
    pub(super) last_at_logon: u64,
    pub(super) sender: CommandSender,
    pub(super) events: EventStream,
}

impl Peer {
    pub(super) async fn connect(options: ConnectOptions) -> Peer {
        let client = SimVenueClient::connect(options).await.unwrap();
        assert_eq!(client.instruments.len(), 6);
        let last_at_logon = client.last_report_sequence;
        let (sender, events) = client.split();
        Peer {
            last_at_logon,
            sender,
            events,
        }
    }

    pub(super) fn send(&self, command: VenueCommand) {
        self.sender.send(command).unwrap();
    }

    /// Returns the next event that is no market data.
    pub(super) async fn event(&mut self) -> VenueEvent {
        loop {
            match self.events.next().await.expect("session is over") {
                VenueEvent::Market(_) | VenueEvent::MarketGap { .. } => {}
                event => return event,
            }
        }
    }

    /// Returns the next `count` reports.
    pub(super) async fn reports(&mut self, count: usize) -> Vec<String> {
        let mut out = Vec::new();
        for _ in 0..count {
            match self.event().await {
                VenueEvent::Report { sequence, report } => out.push(short(sequence, &report)),
                other => panic!("{other:?} behind {out:?}"),
            }
        }
        out
    }

    pub(super) async fn ask(&mut self, command: VenueCommand, count: usize) -> Vec<String> {
        self.send(command);
        self.reports(count).await
    }
}

pub(super) fn ground_truth(folder: &TempDir) -> journal::Recovered {
    journal::read(&folder.path().join(journal::FILE_NAME)).unwrap()
}
