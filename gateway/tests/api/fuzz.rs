//! Foreign bytes at every door of the gateway: nothing panics, and whatever is wrong is the caller's
//! fault, never INTERNAL or UNKNOWN.
//!
//! `APEX_FUZZ_CASES` is how many of each kind every method gets (12), `APEX_SEED` which.

use crate::harness::{Authorized, BTC, Harness, resting, soon};
use apex_proto::{POLICIES, v1};
use bytes::{Buf, BufMut};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// xorshift64*, so that a seed is the whole test.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let seed = setting("APEX_SEED", 11).max(1);
        println!("APEX_SEED={seed}");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| (self.next() >> 40) as u8).collect()
    }

    /// A number that is often at an edge.
    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => [0, 1, u64::MAX, i64::MAX as u64, i64::MIN as u64][self.below(5)],
            1 => self.next() % 100,
            _ => self.next() >> self.below(64),
        }
    }

    /// A text that is often one that means something.
    fn text(&mut self) -> String {
        const WORDS: [&str; 14] = [
            "",
            "paper",
            "other",
            BTC,
            "BTCUSDT",
            "c-1",
            "1",
            "-1",
            "0.00000001",
            "1e9",
            "USDT",
            "paper=1",
            "99999999999999999999.999999999999999999",
            "é\u{0}\u{202e}",
        ];
        match self.below(3) {
            0 => String::from_utf8_lossy(&self.bytes(40)).into_owned(),
            _ => WORDS[self.below(WORDS.len())].to_owned(),
        }
    }

    fn value(&mut self, kind: &Kind, depth: usize) -> Value {
        match kind {
            Kind::Double => Value::F64(f64::from_bits(self.next())),
            Kind::Float => Value::F32(f32::from_bits(self.next() as u32)),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.number() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.number() as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.number() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.number()),
            Kind::Bool => Value::Bool(self.below(2) == 0),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.bytes(40).into()),
            Kind::Message(message) => Value::Message(self.message(message, depth + 1)),
            Kind::Enum(kind) => {
                let values = kind.values().count();
                Value::EnumNumber(self.below(values + 1) as i32 - self.below(20) as i32 / 19)
            }
        }
    }

    /// A message of this kind, with most fields set.
    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            if depth > 4 || self.below(3) == 0 || field.is_map() {
                continue;
            }
            let kind = field.kind();
            let value = if field.is_list() {
                let count = self.below(4);
                Value::List((0..count).map(|_| self.value(&kind, depth)).collect())
            } else {
                self.value(&kind, depth)
            };
            message.set_field(&field, value);
        }
        message
    }

    /// Damages bytes a little.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => bytes.insert(at, (self.next() >> 40) as u8),
                _ => bytes.extend(self.bytes(8)),
            }
        }
    }
}

/// Messages as their bytes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length).to_vec()))
    }
}

/// Calls a method of any kind and returns how it went, up to its first answer.
async fn call(channel: &Authorized, path: &'static str, bytes: Vec<u8>) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    soon(grpc.ready())
        .await
        .map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = Request::new(futures::stream::iter([bytes]));
    request.set_timeout(Duration::from_secs(10));
    let path = http::uri::PathAndQuery::from_static(path);
    let mut answers = soon(grpc.streaming(request, path, Raw)).await?.into_inner();
    // A stream may have nothing to say for a while.
    let first = tokio::time::timeout(Duration::from_millis(100), answers.message());
    first.await.unwrap_or(Ok(None)).map(drop)
}

fn assert_callers_fault(path: &str, bytes: &[u8], outcome: &Result<(), Status>) {
    if let Err(status) = outcome {
        let is_ours = matches!(
            status.code(),
            Code::Internal | Code::Unknown | Code::DataLoss
        );
        assert!(!is_ours, "{path} with {bytes:02x?}: {status:?}");
    }
}

/// Counts panics of any thread of this process from now on.
fn panics() -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let (counted, before) = (count.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        counted.fetch_add(1, Ordering::SeqCst);
        before(info);
    }));
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_of_any_method_are_our_fault() {
    let panics = panics();
    let harness = Harness::start().await;
    let mut random = Random::new();
    let cases = setting("APEX_FUZZ_CASES", 12);
    let pool = DescriptorPool::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut orders = harness.orders().await;
    orders.submit_order(resting("c-1")).await.unwrap();
    for method in POLICIES {
        let (service, name) = method.path[1..].split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap();
        let input = service
            .methods()
            .find(|it| it.name() == name)
            .unwrap()
            .input();
        let channel = harness.admin().await;
        for case in 0..3 * cases {
            let bytes = match case % 3 {
                0 => random.bytes(200),
                1 => random.message(&input, 0).encode_to_vec(),
                _ => {
                    let mut bytes = random.message(&input, 0).encode_to_vec();
                    random.damage(&mut bytes);
                    bytes
                }
            };
            let outcome = call(&channel, method.path, bytes.clone()).await;
            assert_callers_fault(method.path, &bytes, &outcome);
            assert_eq!(
                panics.load(Ordering::SeqCst),
                0,
                "{} {bytes:02x?}",
                method.path
            );
        }
    }
    // It is well afterwards; a random call may have halted the account, which is an answer too.
    let list = v1::ListOrdersRequest::default();
    orders.list_orders(list).await.unwrap();
}

#[tokio::test]
async fn no_page_token_is_our_fault() {
    let harness = Harness::start().await;
    let mut random = Random::new();
    let mut orders = harness.orders().await;
    for number in 0..3 {
        let order = resting(&format!("c-{number}"));
        orders.submit_order(order).await.unwrap();
    }
    let first = v1::ListOrdersRequest {
        page_size: 1,
        ..Default::default()
    };
    let good = orders.list_orders(first.clone()).await.unwrap();
    let good = good.into_inner().next_page_token;
    assert!(!good.is_empty());
    for _ in 0..20 * setting("APEX_FUZZ_CASES", 12) {
        let mut bytes = good.clone().into_bytes();
        random.damage(&mut bytes);
        let page_token = String::from_utf8_lossy(&bytes).into_owned();
        let request = v1::ListOrdersRequest {
            page_token: page_token.clone(),
            ..first.clone()
        };
        let outcome = orders.list_orders(request).await.map(drop);
        assert_callers_fault("ListOrders", page_token.as_bytes(), &outcome);
    }
}

#[tokio::test]
async fn no_frame_of_the_web_and_no_timeout_is_our_fault() {
    let harness = Harness::start().await;
    let mut random = Random::new();
    for number in 0..10 * setting("APEX_FUZZ_CASES", 12) {
        let mut body = vec![0, 0, 0, 0, 2, 8, 1];
        random.damage(&mut body);
        let kind = [
            "grpc-web+proto",
            "grpc-web-text",
            "grpc-web",
            "grpc-web-nonsense",
        ];
        let timeout: String = String::from_utf8_lossy(&random.bytes(12))
            .chars()
            .filter(|character| character.is_ascii_graphic())
            .collect();
        let method = POLICIES[random.below(POLICIES.len())].path;
        let head = format!(
            "POST {method} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/{}\r\n\
             authorization: Bearer {}\r\ngrpc-timeout: {timeout}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            kind[number as usize % kind.len()],
            harness.admin.token,
            body.len(),
        );
        let mut socket = TcpStream::connect(harness.running.address()).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&body).await.unwrap();
        let mut answer = vec![0; 4_096];
        // Of a stream the first answer is enough.
        let read = soon(socket.read(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        let wrong = [
            "HTTP/1.1 5",
            "grpc-status:2\r",
            "grpc-status:13",
            "grpc-status: 2\r",
            "grpc-status: 13",
        ];
        for sign in wrong {
            assert!(!answer.contains(sign), "{head:?} {body:02x?}: {answer}");
        }
        assert!(read > 0, "{head:?} {body:02x?}");
    }
}
