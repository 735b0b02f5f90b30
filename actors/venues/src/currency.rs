//! Base and quote currency of a symbol that does not separate them.

use apex_domain::Currency;

/// Takes a symbol apart into base and quote currency by the quote currencies that markets use;
/// a symbol that ends in none of them (a share, unnamed data) is counted in dollars.
pub fn currencies(symbol: &str) -> (Currency, Currency) {
    const QUOTES: [&str; 16] = [
        "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD",
        "TRY", "BTC", "ETH", "BNB",
    ];
    // What follows the first dash tells the kind of contract or the number of a clone.
    let (pair, rest) = symbol.split_once('-').unwrap_or((symbol, ""));
    let pair = if QUOTES.contains(&rest) { symbol } else { pair };
    let plain: String = pair
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .take(16)
        .collect();
    let split = QUOTES.iter().find_map(|quote| {
        let base = plain.strip_suffix(quote)?;
        (base.len() >= 3).then_some((base, *quote))
    });
    let (base, quote) = split.unwrap_or((&plain, "USD"));
    let currency = |text: &str| Currency::new(text).ok();
    (
        currency(base).unwrap_or_else(|| Currency::new("DATA").expect("the constant is a name")),
        currency(quote).expect("the table holds names"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_split_at_a_known_quote_currency() {
        for (symbol, base, quote) in [
            ("BTCUSDT", "BTC", "USDT"),
            ("BTCUSDT-PERP", "BTC", "USDT"),
            ("BTCUSDT-C3", "BTC", "USDT"),
            ("BTCUSDT-PERP-C12", "BTC", "USDT"),
            ("ETHBTC", "ETH", "BTC"),
            ("BTC/USD", "BTC", "USD"),
            ("ETH-EUR", "ETH", "EUR"),
            ("SPY", "SPY", "USD"),
            ("DATA", "DATA", "USD"),
            ("///", "DATA", "USD"),
        ] {
            let (b, q) = currencies(symbol);
            assert_eq!((b.as_str(), q.as_str()), (base, quote), "{symbol}");
        }
    }
}
