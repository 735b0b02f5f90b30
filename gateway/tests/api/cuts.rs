//! A stream of orders that is cut at random points and resumed, at one gateway or the other: every
//! event comes once, in order.
//!
//! `APEX_CUTS` is how often (1,000), `APEX_SEED` where.

use crate::harness::{Bearer, Harness, resting, soon};
use apex_gateway::auth::{Access, Role};
use apex_gateway::{GatewayOptions, serve};
use apex_proto::v1;
use apex_proto::v1::order_service_client::OrderServiceClient;
use apex_proto::v1::stream_orders_response::Item;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

/// Events of an order: initialized, submitted, accepted.
const EVENTS: u64 = 3;

/// xorshift64*, so that a seed is the whole test.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

async fn channel(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    soon(endpoint.connect()).await.unwrap()
}

/// Where the client stands.
#[derive(Default)]
struct Place {
    first: Option<u64>,
    last: u64,
    token: String,
}

impl Place {
    fn request(&self, by_sequence: bool) -> v1::StreamOrdersRequest {
        let mut request = v1::StreamOrdersRequest {
            account_id: "paper".into(),
            ..Default::default()
        };
        if self.token.is_empty() || by_sequence {
            request.from_sequence = self.last + 1;
        } else {
            request.resume_token = self.token.clone();
        }
        request
    }

    /// Counts an event in. What the stream leaves out between two of them is of no order.
    fn take(&mut self, event: &v1::OrderEvent, token: String) {
        let sequence = event.sequence;
        match self.first {
            None => self.first = Some(sequence),
            Some(_) => assert_eq!(sequence, self.last + 1, "the next one, and once"),
        }
        self.last = sequence;
        self.token = token;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_cut_a_thousand_times_tells_every_event_once() {
    let (cuts, seed) = (setting("APEX_CUTS", 1_000), setting("APEX_SEED", 7));
    println!("APEX_SEED={seed} APEX_CUTS={cuts}");
    let mut random = Random(seed.max(1));
    let harness = Harness::start().await;
    let keys = Access::new(harness.keys.clone());
    let options = GatewayOptions::new("127.0.0.1:0".parse().unwrap(), keys);
    let replica = serve(options, harness.platform.clone()).await.unwrap();
    let urls = [harness.running.address(), replica.address()].map(|it| format!("http://{it}"));
    // Several users, since one may open only so many streams a second.
    let tokens: Vec<String> = (10..18)
        .map(|seed| harness.user(seed, Role::Trader, &["paper"]).0)
        .collect();

    let mut orders = harness.orders().await;
    let (go_on, mut asked) = tokio::sync::mpsc::channel::<()>(1);
    // Orders come while streams are cut: one each time that the client asks, and beside its reading.
    let submitted = tokio::spawn(async move {
        let mut count = 0;
        while asked.recv().await.is_some() {
            let id = format!("c-{count}");
            orders.submit_order(resting(&id)).await.unwrap();
            count += 1;
        }
        count
    });

    let mut place = Place::default();
    let mut channels = [channel(&urls[0]).await, channel(&urls[1]).await];
    for cut in 0..cuts {
        if random.below(3) > 0 {
            // Full: one is on its way already.
            let _ = go_on.try_send(());
        }
        let at = random.below(2) as usize;
        if random.below(8) == 0 {
            // The connection breaks and not the stream alone.
            channels[at] = channel(&urls[at]).await;
        }
        let token = &tokens[(cut % tokens.len() as u64) as usize];
        let bearer = Bearer::token(token);
        let client = InterceptedService::new(channels[at].clone(), bearer);
        let mut client = OrderServiceClient::new(client);
        let request = place.request(random.below(2) == 0);
        let mut stream = soon(client.stream_orders(request))
            .await
            .unwrap()
            .into_inner();
        // The first message is a heartbeat; the cut may fall on it, or where nothing comes.
        for _ in 0..random.below(7) {
            let next = tokio::time::timeout(std::time::Duration::from_millis(20), stream.message());
            let Ok(message) = next.await else { break };
            let message = message.unwrap().expect("the stream goes on");
            if let Some(Item::Event(event)) = message.item {
                place.take(&event, message.resume_token);
            }
        }
    }
    drop(go_on);
    let count: u64 = soon(submitted).await.unwrap();
    assert!(count > cuts / 10, "orders came meanwhile: {count}");
    // What is left.
    let client = InterceptedService::new(channels[0].clone(), Bearer::token(&tokens[0]));
    let mut client = OrderServiceClient::new(client);
    let request = place.request(false);
    let mut stream = soon(client.stream_orders(request))
        .await
        .unwrap()
        .into_inner();
    let last = |place: &Place| place.first.map_or(0, |first| place.last + 1 - first);
    while last(&place) < count * EVENTS {
        let message = soon(stream.message()).await.unwrap().unwrap();
        if let Some(Item::Event(event)) = message.item {
            place.take(&event, message.resume_token);
        }
    }
    assert_eq!(last(&place), count * EVENTS);
}
