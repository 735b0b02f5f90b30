//! Orders through the gateway and the account actor, with journal and audit in memory, against a raw
//! tonic echo of the same messages: the same number of connections, the same clients, the same
//! runtime. And order sessions against the unary method.
//!
//! `cargo bench -p apex-node --bench gateway_orders --profile fast`; it takes about a minute. What is
//! compared alternates within one run, so the ratios say more than the figures. An order here is
//! checked, journaled, sent and ended by its venue, which is more than an echo does.

mod platform;
mod raw;
mod sessions;

use apex_proto::v1;
use platform::Node;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use v1::order_service_client::OrderServiceClient;

/// Times that each of a pair is measured, in turn.
const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_secs(1);
/// Before the first round: caches, connections and the allocator settle.
const WARM_UP: Duration = Duration::from_millis(500);
/// Calls under way for the latencies.
const CONCURRENT: usize = 32;
/// Calls under way on each connection for the throughput.
const DEEP: usize = 64;

pub type Client = OrderServiceClient<InterceptedService<Channel, Bearer>>;

/// Sends a token with each call; the echo takes it as well.
#[derive(Clone, Debug)]
pub struct Bearer(tonic::metadata::AsciiMetadataValue);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = self.0.clone();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

/// Ids that no other order of the run has.
static NUMBER: AtomicU64 = AtomicU64::new(0);

pub fn order() -> v1::SubmitOrderRequest {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    v1::SubmitOrderRequest {
        account_id: "paper".into(),
        client_order_id: format!("bench-{number:012}"),
        instrument_id: platform::BTC.into(),
        side: v1::Side::Buy.into(),
        order_type: v1::OrderType::Limit.into(),
        quantity: "0.01".into(),
        limit_price: "50000".into(),
        time_in_force: v1::TimeInForce::Ioc.into(),
        ..Default::default()
    }
}

pub async fn connect(address: std::net::SocketAddr, token: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.tcp_nodelay(true).connect().await;
        let bearer = Bearer(format!("Bearer {token}").parse().expect("a token"));
        let channel = InterceptedService::new(channel.expect("it listens"), bearer);
        clients.push(OrderServiceClient::new(channel));
    }
    clients
}

/// What one turn came to.
#[derive(Debug, Default)]
pub struct Turn {
    pub orders: u64,
    pub took: Duration,
    latencies: Vec<Duration>,
}

impl Turn {
    pub fn per_second(&self) -> f64 {
        self.orders as f64 / self.took.as_secs_f64()
    }

    fn percentile(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let last = self.latencies.len() - 1;
        let at = (last as f64 * share).round() as usize;
        self.latencies[at].as_secs_f64() * 1e6
    }
}

/// Calls for some time, with so many under way over these connections.
async fn unary(clients: &[Client], under_way: usize, time: Duration) -> Turn {
    let (begun, mut tasks) = (Instant::now(), JoinSet::new());
    for task in 0..under_way {
        let mut client = clients[task % clients.len()].clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while begun.elapsed() < time {
                let asked = Instant::now();
                let answer = client.submit_order(order()).await.expect("an order");
                assert!(!answer.get_ref().order_id.is_empty());
                latencies.push(asked.elapsed());
            }
            latencies
        });
    }
    let latencies = tasks.join_all().await.concat();
    Turn {
        orders: latencies.len() as u64,
        took: begun.elapsed(),
        latencies,
    }
}

/// The unary side of a comparison with sessions.
pub async fn unary_turn(clients: &[Client]) -> Turn {
    unary(clients, clients.len() * DEEP, TURN).await
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn range(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{least:.2} to {most:.2}")
}

/// Prints a row: medians, and the ratio as the median of those of each round.
pub fn row(what: &str, unit: &str, pairs: &[(f64, f64)], goal: &str) {
    let ratios: Vec<f64> = pairs.iter().map(|(ours, theirs)| ours / theirs).collect();
    println!(
        "{what:<48} {:>10.0} {:>10.0} {unit:<9} {:>6.2} ({}) {goal}",
        median(pairs.iter().map(|pair| pair.0).collect()),
        median(pairs.iter().map(|pair| pair.1).collect()),
        median(ratios.clone()),
        range(&ratios),
    );
}

pub fn head(ours: &str, theirs: &str) {
    println!(
        "{:<48} {ours:>10} {theirs:>10} {:<9} {:>6}",
        "", "", "ratio"
    );
}

async fn against_echo(node: &Node, echo: std::net::SocketAddr) {
    head("gateway", "echo");
    let ours = connect(node.address(), node.token(), 4).await;
    let theirs = connect(echo, node.token(), 4).await;
    unary(&ours, CONCURRENT, WARM_UP).await;
    unary(&theirs, CONCURRENT, WARM_UP).await;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut gateway = unary(&ours, CONCURRENT, TURN).await;
        let mut echo = unary(&theirs, CONCURRENT, TURN).await;
        p50.push((gateway.percentile(0.5), echo.percentile(0.5)));
        p99.push((gateway.percentile(0.99), echo.percentile(0.99)));
    }
    row("p50, 32 concurrent on 4 connections", "us", &p50, "");
    row(
        "p99, 32 concurrent on 4 connections",
        "us",
        &p99,
        "goal <= 1.15",
    );
    for (connections, goal) in [(1, ""), (4, "goal >= 0.9")] {
        let mut pairs = Vec::new();
        for _ in 0..ROUNDS {
            let deep = connections * DEEP;
            let gateway = unary(&ours[..connections], deep, TURN).await;
            let echo = unary(&theirs[..connections], deep, TURN).await;
            pairs.push((gateway.per_second(), echo.per_second()));
        }
        let what = format!("throughput, {DEEP} calls on each of {connections} connections");
        row(&what, "orders/s", &pairs, goal);
    }
}

fn main() {
    // `cargo bench` adds `--bench`, and `cargo test` runs nothing here without it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let node = Node::start().await;
        let sample = {
            let mut clients = connect(node.address(), node.token(), 1).await;
            let answer = clients[0].submit_order(order()).await.expect("an order");
            answer.into_inner()
        };
        println!("journal and audit in memory, 2 worker threads, {ROUNDS} rounds each");
        let echo = raw::serve(sample).await;
        against_echo(&node, echo).await;
        sessions::against_unary(&node).await;
    });
}
