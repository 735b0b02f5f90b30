//! What an entry says that the venue does not offer.

use apex_domain::instrument::Lacks;
use apex_domain::order::{OrderType, TimeInForce};

const ORDER_TYPES: [(&str, OrderType); 6] = [
    ("market_to_limit", OrderType::MarketToLimit),
    ("stop", OrderType::Stop),
    ("stop_limit", OrderType::StopLimit),
    ("market_if_touched", OrderType::MarketIfTouched),
    ("limit_if_touched", OrderType::LimitIfTouched),
    ("trailing_stop", OrderType::TrailingStop),
];

const TIMES_IN_FORCE: [(&str, TimeInForce); 4] = [
    ("day", TimeInForce::Day),
    ("gtd", TimeInForce::Gtd),
    ("at_open", TimeInForce::AtOpen),
    ("at_close", TimeInForce::AtClose),
];

type Flag = fn(&mut Lacks) -> &mut bool;

const TERMS: [(&str, Flag); 4] = [
    ("iceberg", |lacks| &mut lacks.iceberg),
    ("post_only", |lacks| &mut lacks.post_only),
    ("reduce_only", |lacks| &mut lacks.reduce_only),
    ("linked_orders", |lacks| &mut lacks.linked_orders),
];

/// Returns what these words name.
///
/// Errors: the word that names nothing, with those that do.
pub(super) fn read<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Lacks, String> {
    let mut lacks = Lacks::default();
    for word in words {
        if let Some((_, order_type)) = ORDER_TYPES.iter().find(|(name, _)| *name == word) {
            lacks.order_types.push(*order_type);
        } else if let Some((_, time)) = TIMES_IN_FORCE.iter().find(|(name, _)| *name == word) {
            lacks.times_in_force.push(*time);
        } else if let Some((_, term)) = TERMS.iter().find(|(name, _)| *name == word) {
            *term(&mut lacks) = true;
        } else {
            return Err(format!(
                "has \"{word}\", which is none of {}",
                words_of().join(", ")
            ));
        }
    }
    Ok(lacks)
}

fn words_of() -> Vec<&'static str> {
    let types = ORDER_TYPES.iter().map(|(name, _)| *name);
    let times = TIMES_IN_FORCE.iter().map(|(name, _)| *name);
    let terms = TERMS.iter().map(|(name, _)| *name);
    types.chain(times).chain(terms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_something_of_its_own() {
        let mut seen = Vec::new();
        for word in words_of() {
            let lacks = read([word]).unwrap();
            assert_ne!(lacks, Lacks::default(), "{word}");
            assert!(!seen.contains(&lacks), "{word}");
            seen.push(lacks);
        }
        let all = read(words_of()).unwrap();
        assert_eq!((all.order_types.len(), all.times_in_force.len()), (6, 4));
        let error = read(["stop", "limit"]).unwrap_err();
        assert!(error.starts_with("has \"limit\", which is none of market_to_limit, stop,"));
    }
}
