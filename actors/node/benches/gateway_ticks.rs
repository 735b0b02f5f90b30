//! Ticks to 100 gRPC streams, beside naive tonic (one tick a message and stream), turn by turn in one
//! run; and the memory of 1,000 idle streams with a token.
//!
//! `cargo bench -p apex-node --bench gateway_ticks --profile fast [-- ROUNDS]`. Servers and receivers
//! share the machine and the process; the idle streams' clients are a process of their own. Both
//! servers send the same prints, and go on when every receiver has them: nothing is dropped, which is
//! checked. A receiver decodes each message, or only walks over its fields and counts.

use apex_bus::access::{AccessChange, MemoryAccess, Swap};
use apex_bus::accounts::Accounts;
use apex_bus::clock::Clock;
use apex_bus::handle::{EventHistory, HistoryError, PastError, Platform, RunMode};
use apex_bus::market::MarketHub;
use apex_bus::message::AccountEvent;
use apex_bus::topic::{Capacity, Topic};
use apex_domain::access::User;
use apex_domain::account::Account;
use apex_domain::event::Recorded;
use apex_domain::market::{Side, Trade};
use apex_domain::matching::SimInstrument;
use apex_domain::{AccountId, UnixNanos};
use apex_gateway::auth::{Access, Grants, Role, new_key};
use apex_gateway::{GatewayOptions, Running, serve};
use apex_proto::v1::market_data_service_server::{MarketDataService, MarketDataServiceServer};
use apex_proto::{convert, v1};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::{ProstCodec, ProstEncoder};

const STREAMS: usize = 100;
const CONNECTIONS: usize = 4;
const IDLE: usize = 1_000;

/// How long a turn takes.
const TURN: Duration = Duration::from_secs(3);

/// Prints that are published at once, and that may be under way.
const BATCH: u64 = 512;
const UNDER_WAY: u64 = 8_192;

#[derive(Debug)]
struct NoHistory;

impl EventHistory for NoHistory {
    fn events(&self, id: &AccountId, _: u64, _: usize) -> Result<Vec<AccountEvent>, HistoryError> {
        Err(HistoryError::NoJournal(id.clone()))
    }

    fn records(&self, id: &AccountId, _: u64, _: usize) -> Result<Vec<Recorded>, HistoryError> {
        Err(HistoryError::NoJournal(id.clone()))
    }

    fn as_of(&self, id: &AccountId, _: UnixNanos, _: Duration) -> Result<Arc<Account>, PastError> {
        Err(HistoryError::NoJournal(id.clone()).into())
    }
}

/// A gateway without accounts, and its token.
async fn gateway(market: &MarketHub) -> (Running, String) {
    let admin = new_key(&[1; 40], "admin", Role::Admin, Grants::All, 0);
    let store = Arc::new(MemoryAccess::new(Clock::Wall));
    {
        let mut state = store.state_mut();
        let user = User::new("admin", Role::Admin, Grants::All, 0);
        state.put(&AccessChange::User(Swap::insert(user)));
        state.put(&AccessChange::Key(Swap::insert(admin.record)));
    }
    let address = "127.0.0.1:0".parse().expect("an address");
    let options = GatewayOptions::new(address, Access::new(store));
    let platform = Platform {
        mode: RunMode::Simulated,
        accounts: Accounts::default(),
        desk: None,
        market: market.clone(),
        order_feed: None,
        account_events: Topic::gap("account_events", Capacity::new(64)),
        market_history: None,
        history: Arc::new(NoHistory),
        exposure: None,
    };
    let running = serve(options, platform).await.expect("it serves");
    (running, admin.token)
}

/// A server as one writes it in an afternoon: each tick is a message to each stream.
#[derive(Clone, Default)]
struct Naive(Arc<Mutex<Vec<mpsc::Sender<v1::TradeTick>>>>);

macro_rules! nothing {
    ($($method:ident: $request:ident => $answer:ident),*) => {
        $(async fn $method(
            &self,
            _: Request<v1::$request>,
        ) -> Result<Response<v1::$answer>, Status> {
            Err(Status::unimplemented("not in this bench"))
        })*
    };
}

#[tonic::async_trait]
impl MarketDataService for Naive {
    type SubscribeStream = BoxStream<'static, Result<v1::MarketDataBatch, Status>>;
    type StreamOrderBookStream = BoxStream<'static, Result<v1::OrderBookBatch, Status>>;

    async fn subscribe(
        &self,
        _: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (sender, mut ticks) = mpsc::channel(1_024);
        self.0.lock().expect("nobody panicked").push(sender);
        let ticks = futures::stream::poll_fn(move |context| ticks.poll_recv(context));
        let one = |tick| {
            Ok(v1::MarketDataBatch {
                trades: vec![tick],
                ..Default::default()
            })
        };
        Ok(Response::new(ticks.map(one).boxed()))
    }

    async fn stream_order_book(
        &self,
        _: Request<v1::StreamOrderBookRequest>,
    ) -> Result<Response<Self::StreamOrderBookStream>, Status> {
        Err(Status::unimplemented("not in this bench"))
    }

    nothing!(
        get_book: GetBookRequest => Book,
        get_order_book: GetOrderBookRequest => OrderBook,
        get_trades: GetTradesRequest => GetTradesResponse,
        get_quotes: GetQuotesRequest => GetQuotesResponse,
        get_bars: GetBarsRequest => GetBarsResponse
    );
}

/// Counts the prints of a message without decoding it.
#[derive(Default)]
struct Count;

impl Codec for Count {
    type Encode = v1::SubscribeRequest;
    type Decode = u64;
    type Encoder = ProstEncoder<v1::SubscribeRequest>;
    type Decoder = Count;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<v1::SubscribeRequest, v1::MarketDataBatch>::default().encoder()
    }

    fn decoder(&mut self) -> Count {
        Count
    }
}

impl Decoder for Count {
    type Item = u64;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<u64>, Status> {
        use bytes::Buf;
        use prost::encoding::decode_varint;
        let wrong = |_| Status::data_loss("no message");
        let mut prints = 0;
        while message.has_remaining() {
            let tag = decode_varint(message).map_err(wrong)?;
            match tag & 7 {
                0 => drop(decode_varint(message).map_err(wrong)?),
                1 => message.advance(8),
                2 => {
                    let length = decode_varint(message).map_err(wrong)?;
                    message.advance(length as usize);
                    prints += u64::from(tag >> 3 == 5);
                }
                _ => return Err(Status::data_loss("no field")),
            }
        }
        Ok(Some(prints))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiver {
    Decodes,
    Counts,
}

async fn channel(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
    endpoint
        .initial_stream_window_size(apex_proto::CLIENT_WINDOW)
        .initial_connection_window_size(apex_proto::CLIENT_WINDOW)
        .tcp_nodelay(true)
        .connect()
        .await
        .expect("it connects")
}

fn request(token: &str) -> Request<v1::SubscribeRequest> {
    let mut request = Request::new(v1::SubscribeRequest {
        kinds: vec![v1::MarketDataKind::Trades.into()],
        ..Default::default()
    });
    let value = format!("Bearer {token}").parse().expect("a token");
    request.metadata_mut().insert("authorization", value);
    request
}

/// Opens a stream of numbers of prints.
async fn open(
    channel: Channel,
    token: &str,
    receiver: Receiver,
) -> impl Stream<Item = Result<u64, Status>> + use<> {
    let path = http::uri::PathAndQuery::from_static("/apextrade.v1.MarketDataService/Subscribe");
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.expect("it is connected");
    match receiver {
        Receiver::Counts => {
            let answer = grpc.server_streaming(request(token), path, Count).await;
            answer.expect("it streams").into_inner().left_stream()
        }
        Receiver::Decodes => {
            let codec = ProstCodec::<v1::SubscribeRequest, v1::MarketDataBatch>::default();
            let answer = grpc.server_streaming(request(token), path, codec).await;
            let stream = answer.expect("it streams").into_inner();
            let count = |batch: Result<v1::MarketDataBatch, Status>| {
                let batch = batch?;
                assert!(batch.gaps.is_empty(), "nothing is dropped");
                Ok(batch.trades.len() as u64)
            };
            stream.map(count).right_stream()
        }
    }
}

/// What all receivers have, each counted by itself.
struct Received(Vec<Arc<AtomicU64>>);

impl Received {
    async fn begin(url: &str, token: &str, receiver: Receiver) -> Received {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(channel(url).await);
        }
        let mut counts = Vec::new();
        for number in 0..STREAMS {
            let channel = channels[number % CONNECTIONS].clone();
            let mut stream = Box::pin(open(channel, token, receiver).await);
            let count = Arc::new(AtomicU64::new(0));
            counts.push(count.clone());
            tokio::spawn(async move {
                // Ends with its server.
                while let Some(Ok(prints)) = stream.next().await {
                    count.fetch_add(prints, Ordering::Relaxed);
                }
            });
        }
        Received(counts)
    }

    fn least(&self) -> u64 {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        counts.min().unwrap_or(0)
    }

    /// Returns when every receiver has so many.
    async fn wait(&self, count: u64) {
        let begun = Instant::now();
        while self.least() < count {
            assert!(begun.elapsed() < 10 * TURN, "{} of {count}", self.least());
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}

fn prints(first: u64, count: u64) -> Vec<Trade> {
    let SimInstrument {
        instrument,
        start_price,
        lot,
        ..
    } = SimInstrument::defaults().remove(0);
    let print = |trade_id| Trade {
        instrument_id: instrument.instrument_id.clone(),
        price: start_price,
        quantity: lot,
        aggressor: Some(Side::Buy),
        trade_id,
        ts_event: UnixNanos(1_700_000_000_000_000_000),
        ts_init: UnixNanos(1_700_000_000_000_000_000),
    };
    (first..first + count).map(print).collect()
}

/// Returns prints a second over all streams.
async fn ours(receiver: Receiver) -> f64 {
    let market = MarketHub::new();
    let instrument = SimInstrument::defaults().remove(0).instrument;
    market.define(instrument).expect("it is new");
    let (running, token) = gateway(&market).await;
    let url = format!("http://{}", running.address());
    let received = Received::begin(&url, &token, receiver).await;
    let (begun, mut published) = (Instant::now(), 0);
    while begun.elapsed() < TURN {
        let batch = prints(published, BATCH);
        let sent = market.trades.publish_batch(&batch).await;
        sent.expect("it is published");
        published += BATCH;
        received.wait(published.saturating_sub(UNDER_WAY)).await;
        tokio::task::yield_now().await;
    }
    received.wait(published).await;
    (published * STREAMS as u64) as f64 / begun.elapsed().as_secs_f64()
}

async fn naive(receiver: Receiver) -> f64 {
    let service = Naive::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let incoming = futures::stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(socket, _)| {
            socket.set_nodelay(true).expect("a socket");
            socket
        });
        Some((accepted, listener))
    });
    let server = tonic::transport::Server::builder()
        .add_service(MarketDataServiceServer::new(service.clone()))
        .serve_with_incoming(incoming);
    let server = tokio::spawn(server);
    let received = Received::begin(&url, "none", receiver).await;
    let streams = service.0.lock().expect("nobody panicked").clone();
    let (begun, mut published) = (Instant::now(), 0);
    while begun.elapsed() < TURN {
        for trade in prints(published, BATCH) {
            let tick = convert::market::trade(1, &trade);
            for stream in &streams {
                stream.send(tick).await.expect("it is open");
            }
        }
        published += BATCH;
    }
    received.wait(published).await;
    let rate = (published * STREAMS as u64) as f64 / begun.elapsed().as_secs_f64();
    server.abort();
    rate
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    let kilobytes: u64 = kilobytes.and_then(|text| text.parse().ok()).expect("VmRSS");
    kilobytes * 1_024
}

/// Returns how much the gateway's process grows by idle streams, whose clients are another process.
async fn idle() -> u64 {
    let market = MarketHub::new();
    let instrument = SimInstrument::defaults().remove(0).instrument;
    market.define(instrument).expect("it is new");
    let (running, token) = gateway(&market).await;
    let url = format!("http://{}", running.address());
    // One of each, so that what the first stream needs once is not counted.
    let first = open(channel(&url).await, &token, Receiver::Decodes).await;
    let before = resident();
    let own = std::env::current_exe().expect("a program");
    let grown = tokio::task::spawn_blocking(move || {
        let mut clients = Command::new(own)
            .args(["--idle-clients", &url, &token])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("clients start");
        let output = BufReader::new(clients.stdout.take().expect("it is piped"));
        let said = output.lines().next().expect("a line").expect("a line");
        assert_eq!(said, "open");
        let grown = resident().saturating_sub(before);
        // The end of their input ends them.
        drop(clients.stdin.take());
        clients.wait().expect("they end");
        grown
    });
    let grown = grown.await.expect("a thread");
    drop(first);
    grown
}

async fn idle_clients(url: &str, token: &str) {
    let mut streams = Vec::new();
    let mut link = channel(url).await;
    for number in 0..IDLE {
        if number % 125 == 124 {
            link = channel(url).await;
        }
        // The gateway lets a client open 500 streams a second.
        tokio::time::sleep(Duration::from_millis(3)).await;
        let mut stream = Box::pin(open(link.clone(), token, Receiver::Decodes).await);
        stream
            .next()
            .await
            .expect("a snapshot")
            .expect("a snapshot");
        streams.push(stream);
    }
    println!("open");
    std::io::stdout().flush().expect("a pipe");
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count())
        .await
        .expect("a thread");
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn compare(receiver: Receiver, rounds: usize) -> (f64, f64, f64) {
    let (mut all_ours, mut all_naive, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (naive, ours) = (naive(receiver).await, ours(receiver).await);
        all_ours.push(ours);
        all_naive.push(naive);
        ratios.push(ours / naive);
    }
    (
        median(&mut all_ours),
        median(&mut all_naive),
        median(&mut ratios),
    )
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
    };
    if let [flag, url, token] = &arguments[..]
        && flag == "--idle-clients"
    {
        runtime().block_on(idle_clients(url, token));
        return;
    }
    // `cargo bench` adds `--bench`, and `cargo test` runs nothing here without it.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok());
    let rounds = rounds.unwrap_or(3);
    println!("{STREAMS} streams on {CONNECTIONS} connections, medians of {rounds} rounds");
    println!(
        "{:<22}{:>14}{:>14}{:>8}{:>8}",
        "receivers that", "ours/s", "naive/s", "times", "goal"
    );
    for (receiver, name, goal) in [
        (Receiver::Decodes, "decode", 10),
        (Receiver::Counts, "count", 40),
    ] {
        let (ours, naive, ratio) = runtime().block_on(compare(receiver, rounds));
        println!("{name:<22}{ours:>14.0}{naive:>14.0}{ratio:>8.1}{goal:>8}");
    }
    let grown = runtime().block_on(idle());
    println!(
        "{IDLE} idle streams with a token: {:.1} MB, goal 64",
        grown as f64 / 1e6
    );
}
