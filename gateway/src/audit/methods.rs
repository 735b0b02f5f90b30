//! Which calls are recorded, and what an audit that does not work means for each. It stands next to
//! each method in its .proto file.

use apex_proto::v1::Recording;
use apex_proto::{MethodPolicy, POLICIES};

/// What the paths of our methods begin with.
const PACKAGE: &str = "/apextrade.v1.";

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An order that may add exposure. Its record is written beside the account's own journal and is
    /// durable before the answer; without a working audit it is refused.
    Order,
    /// What an operator sets. Its request is durable before it is carried out, and its result before
    /// it is answered; without a working audit it is refused.
    Setting,
    /// What only takes exposure away, the kill switch before all. It is carried out whatever the audit
    /// says, and waits for its record only where the audit works, and not for long.
    Essential,
    /// A session: its commands are recorded one by one, as orders are.
    Session,
    /// A login or its end. It is carried out whatever the audit says.
    Sign,
}

/// Also the action of what is commanded in a session.
pub(crate) const SESSION: &str = "StrategyService/Connect";

/// What a process records of itself.
const OWN: &[&str] = &[
    "Node/AuditBegunAnew",
    "Node/TookOverWithoutReserve",
    "Node/ReserveNotNoted",
    "Node/AccountNotFound",
    "Node/KeyCreated",
    "Node/Started",
    "Node/Stopped",
];

/// Returns every action that a record can have, as `Service/Method`.
pub(crate) fn actions() -> impl Iterator<Item = &'static str> {
    let recorded = POLICIES.iter().filter(|method| kind(method).is_some());
    let methods = recorded.map(|method| action(method.path));
    methods.chain(OWN.iter().copied())
}

/// Returns what is recorded of the method at `path`; `None` when it only reads.
pub(crate) fn find(path: &str) -> Option<(&'static str, Kind)> {
    let found = POLICIES.binary_search_by_key(&path, |method| method.path);
    let method = &POLICIES[found.ok()?];
    Some((action(method.path), kind(method)?))
}

fn kind(method: &MethodPolicy) -> Option<Kind> {
    match method.recording {
        Recording::Unspecified => None,
        Recording::Order => Some(Kind::Order),
        Recording::Setting => Some(Kind::Setting),
        Recording::Essential => Some(Kind::Essential),
        Recording::Session => Some(Kind::Session),
        Recording::Sign => Some(Kind::Sign),
    }
}

/// `/apextrade.v1.Service/Method` is `Service/Method`.
fn action(path: &'static str) -> &'static str {
    path.strip_prefix(PACKAGE).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::secrets::is_secret;
    use super::*;
    use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};
    use std::collections::BTreeSet;

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn what_changes_something_is_recorded_and_health_is_not() {
        assert_eq!(
            find("/apextrade.v1.OrderService/SubmitOrder"),
            Some(("OrderService/SubmitOrder", Kind::Order))
        );
        assert_eq!(
            find(&format!("{PACKAGE}{SESSION}")),
            Some((SESSION, Kind::Session))
        );
        for path in [
            "/apextrade.v1.OrderService/GetOrder",
            "/apextrade.v1.OrderService/NoSuchMethod",
            "/grpc.health.v1.Health/Check",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
        assert!(actions().any(|action| action == "RiskService/Halt"));
        assert!(actions().all(|action| action != "OrderService/GetOrder"));
    }

    fn fields(
        message: &MessageDescriptor,
        seen: &mut BTreeSet<String>,
        found: &mut Vec<FieldDescriptor>,
    ) {
        if !seen.insert(message.full_name().to_owned()) {
            return;
        }
        for field in message.fields() {
            if let Some(inner) = field.kind().as_message() {
                fields(inner, seen, found);
            }
            found.push(field);
        }
    }

    /// Requests and answers are kept as they are but for what is declared a secret, so each field that
    /// is named like one must be.
    #[test]
    fn nothing_that_is_recorded_carries_a_secret() {
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        for service in pool().services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                if find(&path).is_some() {
                    fields(&method.input(), &mut seen, &mut found);
                    fields(&method.output(), &mut seen, &mut found);
                }
            }
        }
        assert!(found.len() > 50, "{found:?}");
        let secrets = found.iter().filter(|field| is_secret(field));
        assert!(secrets.count() >= 12);
        // Whether there is one is no secret.
        let flags = ["has_password", "must_change_password", "totp"];
        for field in found.iter().filter(|field| !is_secret(field)) {
            let name = field.name();
            for secret in ["secret", "password", "token", "totp", "private", "recovery"] {
                let is_flag = flags.contains(&name) && field.kind() == prost_reflect::Kind::Bool;
                let is_named = name.contains(secret) && !is_flag;
                assert!(!is_named, "{}", field.full_name());
            }
        }
    }
}
