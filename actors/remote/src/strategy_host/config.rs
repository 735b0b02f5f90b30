//! What a strategy host is started with.

use super::error::HostError;
use apex_domain::InstrumentId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The one JSON object that a parent writes to the host's standard input, on one line.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// Where the gateway listens, such as `http://127.0.0.1:8000`.
    pub gateway: String,
    /// The Bearer token. Here and not among the arguments or in the environment, which other
    /// processes of the machine can read.
    pub token: String,
    pub account_id: String,
    /// The owner of the orders and positions.
    pub strategy_id: String,
    /// The registered name, such as `ema-cross`.
    pub strategy: String,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The instruments that it is shown; empty is all that it wants.
    #[serde(default)]
    pub instruments: Vec<String>,
    /// Its working orders are canceled when the session ends in whatever way.
    #[serde(default)]
    pub cancel_on_disconnect: bool,
}

/// The token is a secret.
impl fmt::Debug for HostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostConfig")
            .field("gateway", &self.gateway)
            .field("account_id", &self.account_id)
            .field("strategy_id", &self.strategy_id)
            .field("strategy", &self.strategy)
            .field("params", &self.params)
            .field("instruments", &self.instruments)
            .finish_non_exhaustive()
    }
}

impl HostConfig {
    /// Reads the object.
    ///
    /// Errors: `Config`; it names the field and never repeats a value.
    pub fn parse(line: &str) -> Result<HostConfig, HostError> {
        serde_json::from_str(line).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            // serde's own text may quote what it read, and that may be the token.
            let what = match error.classify() {
                serde_json::error::Category::Data => {
                    "a field is missing, unknown or of a wrong type"
                }
                _ => "is no JSON object on one line",
            };
            HostError::Config(format!(
                "standard input {what} (line {line}, column {column})"
            ))
        })
    }

    /// Writes the line for a host's standard input.
    pub fn to_line(&self) -> String {
        // Strings and maps of strings always serialise.
        let mut line = serde_json::to_string(self).expect("strings serialise");
        line.push('\n');
        line
    }

    /// Returns the instruments that it is shown.
    ///
    /// Errors: `Config` for one that is none.
    pub(super) fn instruments(&self) -> Result<BTreeSet<InstrumentId>, HostError> {
        let ids = self.instruments.iter();
        let ids = ids.map(|id| InstrumentId::new(id).map_err(|e| HostError::Config(e.to_string())));
        ids.collect()
    }

    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let pairs = self.params.iter();
        pairs
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> HostConfig {
        HostConfig {
            gateway: "http://127.0.0.1:1".into(),
            token: "very-secret".into(),
            account_id: "paper".into(),
            strategy_id: "ema-1".into(),
            strategy: "ema-cross".into(),
            params: BTreeMap::from([("fast".into(), "2".into())]),
            instruments: vec!["BTCUSDT.SIM".into()],
            cancel_on_disconnect: false,
        }
    }

    #[test]
    fn the_line_is_read_back() {
        let line = config().to_line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(HostConfig::parse(&line).unwrap(), config());
    }

    #[test]
    fn the_token_is_in_no_message() {
        assert!(!format!("{:?}", config()).contains("very-secret"));
        let broken = config().to_line().replace("\"account_id\"", "\"acount\"");
        let message = HostConfig::parse(&broken).unwrap_err().to_string();
        assert!(!message.contains("very-secret"), "{message}");
        let swapped = "{\"gateway\":{\"very-secret\":1}}";
        let message = HostConfig::parse(swapped).unwrap_err().to_string();
        assert!(
            message.starts_with("configuration: standard input a field"),
            "{message}"
        );
        assert!(!message.contains("very-secret"), "{message}");
    }
}
