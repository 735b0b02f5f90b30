//! The ids that a strategy's orders have, and how they count.

use apex_domain::{ClientOrderId, StrategyId};

/// A client order id has 36 characters; the counter behind the strategy's name gets at most 10.
const PREFIX_LENGTH: usize = 25;

/// Returns the counter in a client order id that a strategy's ledger made, `None` for another.
pub fn order_number(strategy_id: &StrategyId, client_order_id: &ClientOrderId) -> Option<u64> {
    number_behind(&order_prefix(strategy_id), client_order_id)
}

pub(super) fn number_behind(prefix: &str, client_order_id: &ClientOrderId) -> Option<u64> {
    client_order_id
        .as_str()
        .strip_prefix(prefix)?
        .strip_prefix('-')?
        .parse()
        .ok()
}

/// Returns what the strategy's client order ids begin with: its own id, or, where that is too
/// long, its beginning and a hash of the whole.
pub fn order_prefix(strategy_id: &StrategyId) -> String {
    let id = strategy_id.as_str();
    if id.len() <= PREFIX_LENGTH {
        return id.to_owned();
    }
    // FNV-1a: it only has to tell apart the few strategies of one account.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{}.{:012x}", &id[..12], hash >> 16)
}
