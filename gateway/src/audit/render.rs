//! Kept messages as JSON, by the compiled .proto files.

use prost_reflect::{DescriptorPool, DynamicMessage, MapKey, MethodDescriptor, Value};
use serde_json::{Map, Value as Json};
use std::sync::LazyLock;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(apex_proto::FILE_DESCRIPTOR_SET).ok());

fn method(action: &str) -> Option<MethodDescriptor> {
    let (service, method) = action.split_once('/')?;
    let pool = POOL.as_ref()?;
    let service = pool.get_service_by_name(&format!("apextrade.v1.{service}"))?;
    service.methods().find(|it| it.name() == method)
}

/// A request as it is listed.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub json: String,
    pub account_id: String,
    pub request_id: String,
}

/// Returns the request of an action, the account that it names, and its request id.
pub(crate) fn request(action: &str, bytes: &[u8]) -> Rendered {
    let descriptor = method(action).map(|it| it.input());
    let message = descriptor.and_then(|it| DynamicMessage::decode(it, bytes).ok());
    let Some(message) = message.filter(|_| !bytes.is_empty()) else {
        return Rendered::default();
    };
    let text = |name: &str| {
        let value = message.get_field_by_name(name)?;
        value.as_str().map(str::to_owned)
    };
    // A message of a session names its account in each of its commands, and it is the same one.
    let named = account_in(&message);
    // An order id is the account's id and a number.
    let of_order = || {
        let order_id = text("order_id")?;
        order_id.rsplit_once('-').map(|(id, _)| id.to_owned())
    };
    Rendered {
        json: json(&message).to_string(),
        account_id: named.or_else(of_order).unwrap_or_default(),
        request_id: text("request_id")
            .filter(|it| !it.is_empty())
            .or_else(|| text("client_order_id"))
            .unwrap_or_default(),
    }
}

/// Returns the first account that a message names, itself or in what it holds.
fn account_in(message: &DynamicMessage) -> Option<String> {
    let own = message.get_field_by_name("account_id");
    let own = own.and_then(|it| it.as_str().map(str::to_owned));
    if let Some(own) = own.filter(|it| !it.is_empty()) {
        return Some(own);
    }
    message.fields().find_map(|(_, value)| match value {
        Value::Message(inner) => account_in(inner),
        Value::List(list) => list.iter().find_map(|it| account_in(it.as_message()?)),
        _ => None,
    })
}

/// Returns an answer of an action, or what it would have been before.
pub(crate) fn answer(action: &str, bytes: &[u8]) -> String {
    let descriptor = method(action).map(|it| it.output());
    let message = descriptor.and_then(|it| DynamicMessage::decode(it, bytes).ok());
    let message = message.filter(|_| !bytes.is_empty());
    message.map_or_else(String::new, |it| json(&it).to_string())
}

/// Fields by their names in the .proto files, without those that are not set.
fn json(message: &DynamicMessage) -> Json {
    let mut fields = Map::new();
    for (field, found) in message.fields() {
        let name = field.name().to_owned();
        let names = field.kind();
        let names = names.as_enum();
        fields.insert(name, value(found, names));
    }
    Json::Object(fields)
}

fn value(found: &Value, names: Option<&prost_reflect::EnumDescriptor>) -> Json {
    match found {
        Value::Bool(it) => Json::from(*it),
        Value::I32(it) => Json::from(*it),
        Value::I64(it) => Json::from(*it),
        Value::U32(it) => Json::from(*it),
        Value::U64(it) => Json::from(*it),
        Value::F32(it) => Json::from(*it),
        Value::F64(it) => Json::from(*it),
        Value::String(it) => Json::from(it.as_str()),
        Value::Bytes(it) => Json::from(format!("{} bytes", it.len())),
        Value::EnumNumber(number) => {
            let name = names.and_then(|it| it.get_value(*number));
            name.map_or_else(|| Json::from(*number), |it| Json::from(it.name()))
        }
        Value::Message(it) => json(it),
        Value::List(list) => Json::Array(list.iter().map(|it| value(it, names)).collect()),
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key_text(key));
            let entries = entries.into_iter();
            Json::Object(
                entries
                    .map(|(key, it)| (key_text(key), value(it, None)))
                    .collect(),
            )
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(it) => it.to_string(),
        MapKey::I32(it) => it.to_string(),
        MapKey::I64(it) => it.to_string(),
        MapKey::U32(it) => it.to_string(),
        MapKey::U64(it) => it.to_string(),
        MapKey::String(it) => it.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_proto::v1;
    use prost::Message;

    #[test]
    fn a_request_is_shown_by_the_names_of_its_fields() {
        let halt = v1::HaltRequest {
            account_id: "paper".to_owned(),
            request_id: "r-1".to_owned(),
            cancel: true,
            reason: "a \"fire\"".to_owned(),
            ..Default::default()
        };
        let shown = request("RiskService/Halt", &halt.encode_to_vec());
        assert_eq!(
            (shown.account_id.as_str(), shown.request_id.as_str()),
            ("paper", "r-1")
        );
        let found: Json = serde_json::from_str(&shown.json).unwrap();
        assert_eq!(found["cancel"], true);
        assert_eq!(found["reason"], "a \"fire\"");
    }

    #[test]
    fn enums_have_their_names_and_maps_an_order() {
        let mut limits = v1::Limits {
            loss_action: v1::LossAction::Reduce.into(),
            ..Default::default()
        };
        for id in ["b", "a"] {
            let exposure = &mut limits.strategy_exposure;
            exposure.insert(id.to_owned(), "1".to_owned());
        }
        let shown = answer("RiskService/SetLimits", &limits.encode_to_vec());
        assert_eq!(
            shown,
            r#"{"loss_action":"LOSS_ACTION_REDUCE","strategy_exposure":{"a":"1","b":"1"}}"#
        );
    }

    #[test]
    fn a_message_of_a_session_is_of_the_account_of_its_commands() {
        let submit = v1::SubmitOrderRequest {
            account_id: "paper".to_owned(),
            ..Default::default()
        };
        let command = v1::OrderSessionCommand {
            command_id: 1,
            command: Some(v1::order_session_command::Command::Submit(submit)),
        };
        let commands = v1::OrderSessionCommands {
            commands: vec![command],
        };
        let message = v1::OrderSessionRequest {
            message: Some(v1::order_session_request::Message::Commands(commands)),
        };
        let shown = request("OrderService/OrderSession", &message.encode_to_vec());
        assert_eq!(shown.account_id, "paper");
        assert!(shown.json.contains("\"command_id\":1"), "{}", shown.json);
    }

    #[test]
    fn what_cannot_be_shown_is_empty() {
        assert_eq!(answer("RiskService/SetLimits", &[]), "");
        assert_eq!(answer("RiskService/SetLimits", &[0xff]), "");
        assert_eq!(answer("NoService/NoMethod", &[]), "");
        assert_eq!(request("Node/Started", b"").json, "");
    }

    #[test]
    fn an_order_id_names_its_account() {
        let cancel = v1::CancelOrderRequest {
            order_id: "beta.2-17".to_owned(),
            ..Default::default()
        };
        let shown = request("OrderService/CancelOrder", &cancel.encode_to_vec());
        assert_eq!(shown.account_id, "beta.2");
    }
}
