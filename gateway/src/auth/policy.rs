//! What each method needs. One line a method; a test holds it against the descriptor set.

use super::Role;

/// What a method needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// No token.
    Open,
    /// A token of one of these roles. Admin is allowed everywhere.
    Roles(&'static [Role]),
}

impl Policy {
    pub fn allows(self, role: Role) -> bool {
        match self {
            Policy::Open => true,
            Policy::Roles(roles) => role == Role::Admin || roles.contains(&role),
        }
    }
}

/// Reads of what is granted.
const READ: Policy = Policy::Roles(&[Role::Viewer, Role::Trader, Role::Risk, Role::Ops]);
/// Orders that may add exposure.
const TRADE: Policy = Policy::Roles(&[Role::Trader]);
/// What only takes exposure away: nobody who is responsible should have to look for a colleague.
const CANCEL: Policy = Policy::Roles(&[Role::Trader, Role::Risk]);
/// A person's word in place of the venue's: those who can look there.
const RESOLVE: Policy = Policy::Roles(&[Role::Risk, Role::Ops]);
const RISK: Policy = Policy::Roles(&[Role::Risk]);
/// Which accounts there are, and paper money: no real money moves by it.
const OPS: Policy = Policy::Roles(&[Role::Ops]);
/// Who did what: those who answer for it.
const AUDIT: Policy = Policy::Roles(&[Role::Risk, Role::Ops]);
const ADMIN: Policy = Policy::Roles(&[]);

/// The methods, in the order of the .proto files.
const METHODS: &[(&str, Policy)] = &[
    ("apextrade.v1.AccountService/ListAccounts", READ),
    ("apextrade.v1.AccountService/GetAccount", READ),
    ("apextrade.v1.AccountService/ListPositions", READ),
    ("apextrade.v1.AccountService/StreamAccount", READ),
    ("apextrade.v1.AccountService/AdjustCash", ADMIN),
    ("apextrade.v1.AccountService/CreateAccount", OPS),
    ("apextrade.v1.AccountService/ResetPaper", OPS),
    ("apextrade.v1.AccountService/SetPositionMode", RISK),
    ("apextrade.v1.AccountService/GetReconciliation", READ),
    ("apextrade.v1.AccountService/CancelForeignOrders", CANCEL),
    ("apextrade.v1.AccountService/ApplySplit", ADMIN),
    ("apextrade.v1.AuditService/ListAuditRecords", AUDIT),
    ("apextrade.v1.AuditService/VerifyAudit", AUDIT),
    ("apextrade.v1.AuthService/WhoAmI", READ),
    ("apextrade.v1.InstrumentService/ListInstruments", READ),
    ("apextrade.v1.InstrumentService/GetInstrument", READ),
    ("apextrade.v1.MarketDataService/Subscribe", READ),
    ("apextrade.v1.MarketDataService/GetBook", READ),
    ("apextrade.v1.MarketDataService/GetOrderBook", READ),
    ("apextrade.v1.MarketDataService/StreamOrderBook", READ),
    ("apextrade.v1.MarketDataService/GetTrades", READ),
    ("apextrade.v1.MarketDataService/GetQuotes", READ),
    ("apextrade.v1.MarketDataService/GetBars", READ),
    ("apextrade.v1.OrderService/SubmitOrder", TRADE),
    ("apextrade.v1.OrderService/AmendOrder", TRADE),
    ("apextrade.v1.OrderService/CancelOrder", CANCEL),
    ("apextrade.v1.OrderService/ResolveOrder", RESOLVE),
    ("apextrade.v1.OrderService/SubmitOrderList", TRADE),
    ("apextrade.v1.OrderService/CancelOrders", CANCEL),
    ("apextrade.v1.OrderService/CancelAllOrders", CANCEL),
    ("apextrade.v1.OrderService/ClosePosition", CANCEL),
    ("apextrade.v1.OrderService/FlattenAccount", CANCEL),
    ("apextrade.v1.OrderService/GetClosing", READ),
    ("apextrade.v1.OrderService/PreviewOrder", READ),
    ("apextrade.v1.OrderService/GetOrder", READ),
    ("apextrade.v1.OrderService/ListOrders", READ),
    ("apextrade.v1.OrderService/ListExecutions", READ),
    ("apextrade.v1.OrderService/StreamOrders", READ),
    ("apextrade.v1.RiskService/GetLimits", READ),
    ("apextrade.v1.RiskService/SetLimits", RISK),
    ("apextrade.v1.RiskService/GetPlatformLimits", READ),
    ("apextrade.v1.RiskService/SetPlatformLimits", RISK),
    ("apextrade.v1.RiskService/Halt", CANCEL),
    ("apextrade.v1.RiskService/Reduce", CANCEL),
    ("apextrade.v1.RiskService/Resume", RISK),
    ("apextrade.v1.RiskService/GetTradingState", READ),
    ("apextrade.v1.RiskService/ListTradingStateChanges", READ),
    ("apextrade.v1.StrategyService/Connect", TRADE),
    ("apextrade.v1.SystemService/GetSystemStatus", READ),
    ("grpc.health.v1.Health/Check", Policy::Open),
    ("grpc.health.v1.Health/Watch", Policy::Open),
    ("grpc.health.v1.Health/List", Policy::Open),
    (
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Policy::Open,
    ),
    (
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Policy::Open,
    ),
];

/// Returns what the method at `path` (`/package.Service/Method`) needs. A method that is not in
/// the table needs a token of any role, so that strangers do not learn what there is.
pub fn policy(path: &str) -> Policy {
    let method = path.strip_prefix('/').unwrap_or(path);
    METHODS
        .iter()
        .find_map(|(name, policy)| (*name == method).then_some(*policy))
        .unwrap_or(READ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use std::collections::BTreeSet;

    #[test]
    fn every_method_has_its_line_and_every_line_its_method() {
        let set = prost_types::FileDescriptorSet::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut declared = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    declared.insert(format!(
                        "{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
        let listed: BTreeSet<String> = METHODS
            .iter()
            .filter(|(_, policy)| *policy != Policy::Open)
            .map(|(name, _)| (*name).to_owned())
            .collect();
        assert_eq!(declared, listed);
        assert_eq!(
            METHODS
                .iter()
                .map(|(name, _)| name)
                .collect::<BTreeSet<_>>()
                .len(),
            METHODS.len()
        );
    }

    #[test]
    fn only_health_and_reflection_are_open() {
        for (name, policy) in METHODS {
            let is_open = name.starts_with("grpc.");
            assert_eq!(*policy == Policy::Open, is_open, "{name}");
        }
    }

    #[test]
    fn roles_do_what_they_are_for_and_no_more() {
        let may =
            |role: Role, method: &str| policy(&format!("/apextrade.v1.{method}")).allows(role);
        assert!(may(Role::Viewer, "OrderService/ListOrders"));
        assert!(may(Role::Viewer, "MarketDataService/StreamOrderBook"));
        assert!(may(Role::Risk, "MarketDataService/GetOrderBook"));
        assert!(!may(Role::Viewer, "OrderService/SubmitOrder"));
        assert!(!may(Role::Viewer, "OrderService/CancelOrder"));
        assert!(may(Role::Trader, "OrderService/SubmitOrder"));
        assert!(may(Role::Trader, "RiskService/Halt"));
        assert!(!may(Role::Trader, "RiskService/Resume"));
        assert!(!may(Role::Trader, "RiskService/SetLimits"));
        assert!(may(Role::Risk, "RiskService/SetLimits"));
        assert!(!may(Role::Trader, "RiskService/SetPlatformLimits"));
        assert!(may(Role::Risk, "RiskService/SetPlatformLimits"));
        assert!(may(Role::Risk, "OrderService/CancelAllOrders"));
        assert!(!may(Role::Risk, "OrderService/SubmitOrder"));
        assert!(!may(Role::Risk, "OrderService/SubmitOrderList"));
        assert!(may(Role::Risk, "OrderService/FlattenAccount"));
        assert!(!may(Role::Viewer, "OrderService/ClosePosition"));
        assert!(may(Role::Viewer, "OrderService/PreviewOrder"));
        assert!(!may(Role::Ops, "OrderService/SubmitOrder"));
        assert!(!may(Role::Trader, "AccountService/SetPositionMode"));
        assert!(may(Role::Risk, "AccountService/SetPositionMode"));
        assert!(!may(Role::Ops, "AccountService/AdjustCash"));
        assert!(may(Role::Admin, "AccountService/AdjustCash"));
        for method in ["AccountService/CreateAccount", "AccountService/ResetPaper"] {
            assert!(
                may(Role::Ops, method) && may(Role::Admin, method),
                "{method}"
            );
            assert!(
                !may(Role::Trader, method) && !may(Role::Risk, method),
                "{method}"
            );
        }
        assert!(may(Role::Risk, "AuditService/ListAuditRecords"));
        assert!(!may(Role::Trader, "AuditService/ListAuditRecords"));
        assert!(!policy("/apextrade.v1.OrderService/NoSuchMethod").eq(&Policy::Open));
    }
}
