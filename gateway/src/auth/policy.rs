//! What each method needs of its caller's role. It stands next to the method in its .proto file
//! (`option (policy)`), and the build fails for a method without it.

use super::{Role, Scope};
use apex_proto::v1::Access;
use apex_proto::{MethodPolicy, POLICIES};
use std::collections::BTreeSet;

/// What a method needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// No token.
    Open,
    /// A token of one of these roles. Admin is allowed everywhere.
    Roles(&'static [Role], Option<Scope>),
    /// A token of anybody, for what is about itself alone.
    Itself,
}

impl Policy {
    pub fn allows(self, role: Role) -> bool {
        match self {
            Policy::Open | Policy::Itself => true,
            Policy::Roles(roles, _) => role == Role::Admin || roles.contains(&role),
        }
    }

    /// Returns true when a key that is held to these scopes may call the method; none are all. What is
    /// about the user itself is for keys without scopes: one that is held to trading must not make
    /// another that is not.
    pub fn allows_scopes(self, scopes: &BTreeSet<Scope>) -> bool {
        scopes.is_empty()
            || match self {
                Policy::Open => true,
                Policy::Roles(_, scope) => scope.is_some_and(|scope| scopes.contains(&scope)),
                Policy::Itself => false,
            }
    }

    pub fn is_about_itself(self) -> bool {
        self == Policy::Itself
    }
}

/// Methods of the protocol itself, which have no .proto file of ours.
const OPEN: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.health.v1.Health/List",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Returns what an access is for.
const fn of(access: Access) -> Policy {
    use Scope as S;
    const READERS: &[Role] = &[Role::Viewer, Role::Trader, Role::Risk, Role::Ops];
    match access {
        Access::Open => Policy::Open,
        Access::Self_ => Policy::Itself,
        Access::Read => Policy::Roles(READERS, Some(S::Read)),
        Access::Trade => Policy::Roles(&[Role::Trader], Some(S::Trade)),
        Access::Cancel => Policy::Roles(&[Role::Trader, Role::Risk], Some(S::Cancel)),
        Access::Resolve => Policy::Roles(&[Role::Risk, Role::Ops], Some(S::Resolve)),
        Access::Audit => Policy::Roles(&[Role::Risk, Role::Ops], Some(S::Audit)),
        Access::Risk => Policy::Roles(&[Role::Risk], Some(S::Risk)),
        Access::Ops => Policy::Roles(&[Role::Ops], Some(S::Ops)),
        Access::Admin => Policy::Roles(&[], Some(S::Admin)),
        // The build lets no method through that says nothing.
        Access::Acknowledge => Policy::Roles(&[Role::Trader, Role::Risk, Role::Ops], Some(S::Ops)),
        Access::Alerts => Policy::Roles(&[Role::Risk, Role::Ops], Some(S::Ops)),
        Access::Unspecified => Policy::Roles(&[], None),
    }
}

/// Returns the policy of the method at `path`; `None` for one that has no .proto file of ours.
pub(crate) fn method(path: &str) -> Option<&'static MethodPolicy> {
    let found = POLICIES.binary_search_by_key(&path, |method| method.path);
    Some(&POLICIES[found.ok()?])
}

/// Returns what the method at `path` (`/package.Service/Method`) needs. A method that there is not
/// needs a token of any role, so that strangers do not learn what there is.
pub fn policy(path: &str) -> Policy {
    if OPEN.contains(&path) {
        return Policy::Open;
    }
    let found = POLICIES.binary_search_by_key(&path, |method| method.path);
    of(found.map_or(Access::Read, |index| POLICIES[index].access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_has_every_method() {
        assert!(POLICIES.is_sorted_by(|a, b| a.path < b.path));
        let pool = prost_reflect::DescriptorPool::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap();
        let services = pool.services();
        let methods: usize = services.map(|service| service.methods().count()).sum();
        assert_eq!(POLICIES.len(), methods);
        assert!(methods >= 49, "{methods}");
    }

    #[test]
    fn only_health_reflection_and_logging_in_are_open() {
        let open = POLICIES.iter().filter(|it| policy(it.path) == Policy::Open);
        let open: Vec<&str> = open.map(|it| it.path).collect();
        let service = "/apextrade.v1.AuthService";
        assert_eq!(
            open,
            [format!("{service}/Login"), format!("{service}/Refresh")]
        );
        for path in OPEN {
            assert!(path.starts_with("/grpc."), "{path}");
            assert_eq!(policy(path), Policy::Open);
            assert_ne!(policy(&path[1..]), Policy::Open, "without its slash");
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

    #[test]
    fn a_key_with_scopes_does_those_alone() {
        let of = |method: &str| policy(&format!("/apextrade.v1.{method}"));
        let trade = BTreeSet::from([Scope::Trade, Scope::Read]);
        assert!(of("OrderService/SubmitOrder").allows_scopes(&trade));
        assert!(of("OrderService/ListOrders").allows_scopes(&trade));
        assert!(!of("OrderService/CancelAllOrders").allows_scopes(&trade));
        assert!(!of("RiskService/SetLimits").allows_scopes(&trade));
        // Else it would make a key without scopes.
        assert!(!of("AuthService/CreateApiKey").allows_scopes(&trade));
        assert!(!of("AuthService/ChangePassword").allows_scopes(&Scope::ALL.into()));
        for method in POLICIES {
            let policy = policy(method.path);
            assert!(policy.allows_scopes(&BTreeSet::new()), "{}", method.path);
            let all = policy.allows_scopes(&Scope::ALL.into());
            assert_eq!(all, !policy.is_about_itself(), "{}", method.path);
        }
    }
}
