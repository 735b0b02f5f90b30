//! The types of strategies of this build, as front ends see them.

use apex_bus::strategies::{ParameterInfo, ParameterKind, StrategyTypeInfo};
use apex_strategy::parameter::{self, ParameterSchema};
use apex_strategy::registry::STRATEGIES;

/// The build, as versions of strategies name it.
pub const CODE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns all types, in order of name.
pub fn types() -> Vec<StrategyTypeInfo> {
    let info = |strategy: &apex_strategy::StrategyType| StrategyTypeInfo {
        name: strategy.name.to_owned(),
        help: strategy.help.to_owned(),
        code_version: CODE_VERSION.to_owned(),
        parameters: strategy.schema.iter().map(parameter).collect(),
    };
    STRATEGIES.iter().map(info).collect()
}

fn parameter(schema: &ParameterSchema) -> ParameterInfo {
    let own = |text: Option<&str>| text.map(ToOwned::to_owned);
    ParameterInfo {
        name: schema.name.to_owned(),
        kind: match schema.kind {
            parameter::ParameterKind::Integer => ParameterKind::Integer,
            parameter::ParameterKind::Decimal => ParameterKind::Decimal,
            parameter::ParameterKind::Choice(words) => {
                ParameterKind::Choice(words.iter().map(|word| (*word).to_owned()).collect())
            }
        },
        default: own(schema.default),
        min: own(schema.min),
        max: own(schema.max),
        unit: own(schema.unit),
        live: schema.live,
        help: schema.help.to_owned(),
    }
}
