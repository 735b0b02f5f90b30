//! Every method, with every role and with accounts that are not granted.

use crate::harness::{Authorized, Harness};
use apex_gateway::auth::{Policy, Role, policy};
use apex_proto::{FILE_DESCRIPTOR_SET, POLICIES};
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MethodDescriptor, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// Messages as bytes, whatever they are.
#[derive(Clone, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Bytes;
    type Decoder = Bytes;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> Bytes {
        Bytes
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}

/// Calls a method and returns what its headers say: a refusal is all headers.
async fn call(channel: &Authorized, path: &str, message: Vec<u8>) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let messages = futures::stream::once(async { message });
    let path = path.parse().unwrap();
    let answer = client
        .streaming(Request::new(messages), path, Bytes)
        .await?;
    drop(answer);
    Ok(())
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

#[tokio::test]
async fn every_method_takes_the_roles_of_its_policy_and_no_others() {
    let harness = Harness::start().await;
    let nobody = harness.as_nobody().await;
    for method in POLICIES {
        let outcome = call(&nobody, method.path, Vec::new()).await;
        let is_refused = matches!(&outcome, Err(status) if reason(status) == "UNAUTHENTICATED");
        let is_open = policy(method.path) == Policy::Open;
        assert_eq!(is_refused, !is_open, "{}: {outcome:?}", method.path);
    }
    for (seed, role) in Role::ALL.into_iter().enumerate() {
        let (token, _) = harness.user(20 + seed as u8, role, &["paper"]);
        let channel = harness.as_token(&token).await;
        for method in POLICIES {
            let outcome = call(&channel, method.path, Vec::new()).await;
            let refused = matches!(&outcome, Err(status) if reason(status) == "ROLE");
            let allowed = policy(method.path).allows(role);
            let of = format!("{} as {}: {outcome:?}", method.path, role.as_str());
            assert_eq!(refused, !allowed, "{of}");
            if let Err(status) = &outcome {
                let code = status.code();
                assert!(!matches!(code, Code::Unknown | Code::Internal), "{of}");
                assert!(!refused || code == Code::PermissionDenied, "{of}");
                assert!(reason(status) != "UNAUTHENTICATED", "{of}");
            }
        }
    }
}

fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    pool.services()
        .flat_map(|it| it.methods().collect::<Vec<_>>())
        .collect()
}

/// Returns a message that names the account wherever its top says that one is named.
fn naming(method: &MethodDescriptor, account: &str) -> Option<Vec<u8>> {
    let mut message = DynamicMessage::new(method.input());
    let mut is_named = false;
    for field in method.input().fields() {
        let value = match (field.name(), field.kind(), field.is_list()) {
            ("account_id", Kind::String, false) => Value::String(account.to_owned()),
            ("account_ids", Kind::String, true) => {
                Value::List(vec![Value::String(account.to_owned())])
            }
            ("order_id", Kind::String, false) => Value::String(format!("{account}-1")),
            ("request_id", Kind::String, false) => {
                message.set_field(&field, Value::String("r-1".to_owned()));
                continue;
            }
            _ => continue,
        };
        is_named = true;
        message.set_field(&field, value);
    }
    is_named.then(|| message.encode_to_vec())
}

/// Whether an account of somebody else exists is told by no method: one that is there and one that is
/// not are answered alike, and neither is touched.
#[tokio::test]
async fn an_account_that_is_not_granted_is_as_one_that_is_not_there() {
    let harness = Harness::start().await;
    let mut compared = 0;
    for (seed, role) in [Role::Viewer, Role::Trader, Role::Risk, Role::Ops]
        .into_iter()
        .enumerate()
    {
        let (token, _) = harness.user(40 + seed as u8, role, &["paper"]);
        let channel = harness.as_token(&token).await;
        for method in methods() {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let both = naming(&method, "other").zip(naming(&method, "there"));
            let Some((other, there)) = both else { continue };
            if !policy(&path).allows(role) {
                continue;
            }
            let of = format!("{path} as {}", role.as_str());
            let there_is = call(&channel, &path, other).await;
            let there_is_not = call(&channel, &path, there).await;
            let said = |outcome: &Result<(), Status>| {
                let text = outcome.as_ref().err().map(|status| {
                    let details = status.get_error_details();
                    let fields = details.bad_request().cloned();
                    // Names of the two differ, as the caller gave them.
                    let text = status.message().replace("other", "there");
                    (status.code(), reason(status), text, fields)
                });
                format!("{text:?}").replace("other", "there")
            };
            assert_eq!(said(&there_is), said(&there_is_not), "{of}");
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
}
