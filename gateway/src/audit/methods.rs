//! Which calls are recorded, and what an audit that does not work means for each.

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
}

/// The recorded methods; all others only read.
const METHODS: &[(&str, Kind)] = &[
    ("AccountService/AdjustCash", Kind::Setting),
    ("AccountService/CreateAccount", Kind::Setting),
    ("AccountService/ResetPaper", Kind::Setting),
    ("AccountService/SetPositionMode", Kind::Setting),
    ("AccountService/CancelForeignOrders", Kind::Essential),
    ("AccountService/ApplySplit", Kind::Setting),
    ("OrderService/SubmitOrder", Kind::Order),
    ("OrderService/AmendOrder", Kind::Order),
    ("OrderService/CancelOrder", Kind::Essential),
    ("OrderService/ResolveOrder", Kind::Setting),
    ("OrderService/SubmitOrderList", Kind::Order),
    ("OrderService/CancelOrders", Kind::Essential),
    ("OrderService/CancelAllOrders", Kind::Essential),
    ("OrderService/ClosePosition", Kind::Essential),
    ("OrderService/FlattenAccount", Kind::Essential),
    ("RiskService/SetLimits", Kind::Setting),
    ("RiskService/SetPlatformLimits", Kind::Setting),
    ("RiskService/Halt", Kind::Essential),
    ("RiskService/Reduce", Kind::Essential),
    ("RiskService/Resume", Kind::Setting),
    (SESSION, Kind::Session),
];

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
    let methods = METHODS.iter().map(|(name, _)| *name);
    methods.chain(OWN.iter().copied())
}

/// Returns what is recorded of the method at `path`; `None` when it only reads.
pub(crate) fn find(path: &str) -> Option<(&'static str, Kind)> {
    let method = path.strip_prefix("/apextrade.v1.")?;
    METHODS.iter().find(|(name, _)| *name == method).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Policy, Role, policy};
    use prost_reflect::{DescriptorPool, MessageDescriptor};
    use std::collections::BTreeSet;

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn every_method_that_a_viewer_may_not_call_is_recorded_and_no_other() {
        for service in pool().services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                let Policy::Roles(roles) = policy(&path) else {
                    continue;
                };
                let reads = roles.contains(&Role::Viewer) || service.name() == "AuditService";
                assert_eq!(find(&path).is_none(), reads, "{path}");
            }
        }
        assert_eq!(find("/grpc.health.v1.Health/Check"), None);
    }

    fn fields(message: &MessageDescriptor, seen: &mut BTreeSet<String>, found: &mut Vec<String>) {
        if !seen.insert(message.full_name().to_owned()) {
            return;
        }
        for field in message.fields() {
            found.push(field.name().to_owned());
            if let Some(inner) = field.kind().as_message() {
                fields(inner, seen, found);
            }
        }
    }

    /// Requests and answers are kept as they are. A method that carries a secret, such as one that
    /// makes a key, must not be recorded so.
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
        for name in found {
            for secret in ["secret", "password", "token", "totp", "private"] {
                assert!(!name.contains(secret), "{name}");
            }
        }
    }
}
