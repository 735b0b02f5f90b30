//! Where a call is from, also behind proxies of ours.

use axum::extract::Request;
use http::HeaderMap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// The address that a call is from; it travels with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

/// Proxies whose word about the address before them is taken.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    pub fn new(networks: &[IpNet]) -> Proxies {
        Proxies(networks.into())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the address of the client: the peer's own, or, behind proxies of ours, the last one that
    /// none of them has. What stands before it in the header is the client's own word.
    pub fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut address = peer?.to_canonical();
        let lines = headers.get_all("x-forwarded-for").iter();
        let mut hops: Vec<&str> = Vec::new();
        for line in lines {
            // What cannot be read hides what is before it.
            let line = line.to_str().unwrap_or("?");
            hops.extend(line.split(',').map(str::trim));
        }
        while self.trusts(address) {
            let Some(hop) = hops.pop() else { break };
            let Ok(before) = hop.parse::<IpAddr>() else {
                break;
            };
            address = before.to_canonical();
        }
        Some(address)
    }
}

/// Returns the address that was found for a request.
pub(super) fn of(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ClientAddress>()?.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let networks: Vec<IpNet> = proxies.iter().map(|it| it.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let proxies = Proxies::new(&networks);
        let found = proxies.client(Some(peer.parse().unwrap()), &headers);
        found.unwrap().to_string()
    }

    #[test]
    fn only_proxies_of_ours_are_taken_at_their_word() {
        assert_eq!(client(&[], "10.0.0.9", &["192.0.2.1"]), "10.0.0.9");
        let ours = &["10.0.0.0/24", "127.0.0.0/8"];
        assert_eq!(client(ours, "198.51.100.1", &["192.0.2.1"]), "198.51.100.1");
        assert_eq!(client(ours, "10.0.0.9", &["192.0.2.1"]), "192.0.2.1");
        // The client wrote the first one itself.
        let lied = client(ours, "10.0.0.9", &["127.0.0.1, 192.0.2.1"]);
        assert_eq!(lied, "192.0.2.1");
        let twice = client(ours, "::ffff:10.0.0.9", &["192.0.2.7", "10.0.0.8"]);
        assert_eq!(twice, "192.0.2.7");
        assert_eq!(
            client(ours, "10.0.0.9", &["192.0.2.1, nonsense"]),
            "10.0.0.9"
        );
        assert_eq!(client(ours, "10.0.0.9", &[]), "10.0.0.9");
    }
}
