//! What stands in front of a gateway.

use apex_gateway::GatewayOptions;
use ipnet::IpNet;

/// What stands in front of the gateway.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Names under which it is reached, besides loopback's.
    pub hosts: Vec<String>,
    /// Origins of browsers that may call, besides its own.
    pub origins: Vec<String>,
    /// Proxies whose word about a client's address is taken.
    pub proxies: Vec<IpNet>,
    /// Clients may ask what there is; off behind a proxy.
    pub reflection: bool,
}

impl Default for Edge {
    fn default() -> Edge {
        Edge {
            hosts: Vec::new(),
            origins: Vec::new(),
            proxies: Vec::new(),
            reflection: true,
        }
    }
}

impl Edge {
    pub(crate) fn apply(self, gateway: &mut GatewayOptions) {
        gateway.hosts = self.hosts;
        gateway.origins = self.origins;
        gateway.proxies = self.proxies;
        gateway.reflection = self.reflection;
    }
}
