//! Settings of a gateway that others stand in front of.

use super::environment_name;
use anyhow::{Result, bail};
use apex_node::edge::Edge;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Reads them: lists are separated by commas.
///
/// Errors: an origin, a network or a switch that is none.
pub(super) fn read(values: &BTreeMap<String, String>) -> Result<Edge> {
    let list = |key: &str| -> Vec<String> {
        let text = values.get(key).map_or("", String::as_str);
        let parts = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        parts.map(str::to_owned).collect()
    };
    let origins = list("origins");
    for origin in &origins {
        let is_web = ["http://", "https://"]
            .iter()
            .any(|it| origin.starts_with(it));
        if !is_web || origin.ends_with('/') {
            bail!(
                "{} has \"{origin}\": write origins as https://trade.example, without a slash at the end",
                environment_name("origins")
            );
        }
    }
    let mut proxies = Vec::new();
    for text in list("trusted_proxies") {
        let network = text.parse::<IpNet>();
        match network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) => proxies.push(network),
            Err(_) => bail!(
                "{} has \"{text}\": write addresses or networks, such as 10.0.0.0/8",
                environment_name("trusted_proxies")
            ),
        }
    }
    let reflection = match values.get("reflection").map(String::as_str) {
        None | Some("true" | "on" | "1") => true,
        Some("false" | "off" | "0") => false,
        Some(other) => bail!(
            "{} is \"{other}\": it must be on or off",
            environment_name("reflection")
        ),
    };
    Ok(Edge {
        hosts: list("hosts"),
        origins,
        proxies,
        reflection,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Edge> {
        let pairs = pairs.iter();
        read(
            &pairs
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let edge = of(&[
            ("hosts", "trade.example, api.example"),
            ("origins", "https://trade.example"),
            ("trusted_proxies", "10.0.0.0/8,192.0.2.1"),
            ("reflection", "off"),
        ]);
        let edge = edge.unwrap();
        assert_eq!(edge.hosts, ["trade.example", "api.example"]);
        assert_eq!(edge.proxies.len(), 2);
        assert!(!edge.reflection);
        assert!(of(&[]).unwrap().reflection);
    }

    #[test]
    fn what_is_none_is_refused_by_its_name() {
        for (key, value) in [
            ("origins", "trade.example"),
            ("origins", "https://trade.example/"),
            ("trusted_proxies", "nginx"),
            ("reflection", "maybe"),
        ] {
            let refused = of(&[(key, value)]).unwrap_err().to_string();
            assert!(refused.contains(&environment_name(key)), "{refused}");
        }
    }
}
