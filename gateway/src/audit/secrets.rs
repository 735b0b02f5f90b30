//! Takes secrets out of messages that are kept. Which fields are secret stands next to them in their
//! .proto file (`[(secret) = true]`).

use super::methods;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The messages with secrets of recorded methods, by action: of the request, and of the answer.
static SECRETIVE: LazyLock<BTreeMap<String, [Option<MessageDescriptor>; 2]>> =
    LazyLock::new(|| {
        let pool = DescriptorPool::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
        let mut found = BTreeMap::new();
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                let Some((action, _)) = methods::find(&path) else {
                    continue;
                };
                let of = |message: MessageDescriptor| {
                    has_secret(&message, &mut BTreeSet::new()).then_some(message)
                };
                let both = [of(method.input()), of(method.output())];
                if both.iter().any(Option::is_some) {
                    found.insert(action.to_owned(), both);
                }
            }
        }
        found
    });

pub(super) fn is_secret(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options.extensions().any(|(extension, value)| {
        extension.full_name() == "apextrade.v1.secret" && value.as_bool() == Some(true)
    })
}

fn has_secret(message: &MessageDescriptor, seen: &mut BTreeSet<String>) -> bool {
    seen.insert(message.full_name().to_owned())
        && message.fields().any(|field| {
            is_secret(&field)
                || matches!(field.kind(), Kind::Message(inner) if has_secret(&inner, seen))
        })
}

fn clear(message: &mut DynamicMessage) {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
    for field in fields {
        if is_secret(&field) {
            message.clear_field(&field);
        } else if message.has_field(&field) {
            clear_inside(message.get_field_mut(&field));
        }
    }
}

fn clear_inside(value: &mut Value) {
    match value {
        Value::Message(inner) => clear(inner),
        Value::List(list) => list.iter_mut().for_each(clear_inside),
        Value::Map(map) => map.values_mut().for_each(clear_inside),
        _ => {}
    }
}

/// Which message of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Request = 0,
    Answer = 1,
}

/// Returns a message without its secrets. One that does not decode is not kept at all: what stands in it
/// is not known.
pub(super) fn without(action: &str, part: Part, bytes: &[u8]) -> Vec<u8> {
    let of = SECRETIVE.get(action);
    let Some(descriptor) = of.and_then(|both| both[part as usize].clone()) else {
        return bytes.to_vec();
    };
    match DynamicMessage::decode(descriptor, bytes) {
        Ok(mut message) => {
            // What this build does not know it cannot judge: decoded, it is left behind.
            clear(&mut message);
            let known: Vec<FieldDescriptor> = message.descriptor().fields().collect();
            let mut kept = DynamicMessage::new(message.descriptor());
            for field in known.iter().filter(|field| message.has_field(field)) {
                kept.set_field(field, message.get_field(field).into_owned());
            }
            kept.encode_to_vec()
        }
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_proto::v1;

    #[test]
    fn a_password_is_not_kept_and_the_rest_is() {
        let asked = v1::CreateUserRequest {
            request_id: "r-1".to_owned(),
            user_id: "ann".to_owned(),
            password: "correct horse battery".to_owned(),
            ..Default::default()
        };
        let mut bytes = asked.encode_to_vec();
        // A field of a newer client, which may be a secret too.
        bytes.extend([0x82, 0x7d, 3, b'p', b'w', b'd']);
        let kept = without("AuthService/CreateUser", Part::Request, &bytes);
        let expected = v1::CreateUserRequest {
            password: String::new(),
            ..asked
        };
        assert_eq!(kept, expected.encode_to_vec());
        let token = v1::CreateApiKeyResponse {
            key: Some(v1::ApiKey {
                key_id: "k".to_owned(),
                ..Default::default()
            }),
            token: "apex_k_secret".to_owned(),
        };
        let kept = without(
            "AuthService/CreateApiKey",
            Part::Answer,
            &token.encode_to_vec(),
        );
        let kept = v1::CreateApiKeyResponse::decode(&*kept).unwrap();
        assert_eq!((kept.token.as_str(), kept.key), ("", token.key));
    }

    #[test]
    fn what_does_not_decode_is_not_kept_where_secrets_may_be() {
        let kept = without("AuthService/CreateUser", Part::Request, &[0xff, 1]);
        assert_eq!(kept, b"");
        assert_eq!(
            without("RiskService/Halt", Part::Request, &[0xff, 1]),
            [0xff, 1]
        );
    }
}
