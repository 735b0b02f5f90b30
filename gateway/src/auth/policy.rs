//! What each method needs of its caller's role. It stands next to the method in its .proto file
//! (`option (policy)`), and the build fails for a method without it.

use super::Role;
use apex_proto::v1::Access;
use apex_proto::{MethodPolicy, POLICIES};

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

/// Methods of the protocol itself, which have no .proto file of ours.
const OPEN: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.health.v1.Health/List",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Returns the roles, besides admin, that an access is for.
const fn roles(access: Access) -> Policy {
    Policy::Roles(match access {
        Access::Read => &[Role::Viewer, Role::Trader, Role::Risk, Role::Ops],
        Access::Trade => &[Role::Trader],
        Access::Cancel => &[Role::Trader, Role::Risk],
        Access::Resolve | Access::Audit => &[Role::Risk, Role::Ops],
        Access::Risk => &[Role::Risk],
        Access::Ops => &[Role::Ops],
        // The build lets no method through that says nothing.
        Access::Admin | Access::Unspecified => &[],
    })
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
    roles(found.map_or(Access::Read, |index| POLICIES[index].access))
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
    fn only_health_and_reflection_are_open() {
        for method in POLICIES {
            assert_ne!(policy(method.path), Policy::Open, "{}", method.path);
        }
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
}
