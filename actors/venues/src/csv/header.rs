//! What a file holds, told by the names of its columns.

use super::time::TimeColumn;

/// The most columns that are looked at. Every known layout has fewer than half of this.
pub const MAX_COLUMNS: usize = 32;

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvKind {
    /// Open, high, low, close and perhaps volume.
    Bars,
    /// The same of bid and of ask. Each row becomes the quote of the closing bid and ask.
    QuoteBars,
    /// Bid and ask, perhaps with sizes.
    Quotes,
    /// Trades and one-sided quotes mixed, told apart by `kind` (T or Q).
    Ticks,
    /// Price and size, perhaps with side and trade id.
    Trades,
}

impl CsvKind {
    /// Returns its words, for people.
    pub fn name(self) -> &'static str {
        match self {
            CsvKind::Bars => "bars",
            CsvKind::QuoteBars => "quote bars",
            CsvKind::Quotes => "quotes",
            CsvKind::Ticks => "ticks",
            CsvKind::Trades => "trades",
        }
    }
}

/// Where the values of a row stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub kind: CsvKind,
    pub columns: usize,
    pub time: (usize, TimeColumn),
    pub symbol: Option<usize>,
    /// Bars: open, high, low, close. Quote bars: the same for bid, then for ask. Quotes: bid,
    /// ask. Ticks: price or bid, ask. Trades: price.
    pub prices: Vec<usize>,
    /// Bars: volume. Quotes and quote bars: bid size, ask size. Ticks: size or bid size, ask
    /// size. Trades: size. Empty where the file states none.
    pub quantities: Vec<usize>,
    /// Ticks: the column that tells trade from quote.
    pub tick_kind: Option<usize>,
    /// Ticks: the column in which the source doubts its own row.
    pub suspicious: Option<usize>,
    /// Trades: the side that took liquidity.
    pub aggressor: Option<usize>,
    pub trade_id: Option<usize>,
}

/// Recognises a header line. Names are compared without case and surrounding blanks, in any
/// order; unknown columns are passed over.
///
/// Returns `None` when no layout fits or the line has more than [`MAX_COLUMNS`] columns.
pub fn recognise(line: &[u8]) -> Option<Layout> {
    let text = std::str::from_utf8(line).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let names: Vec<String> = text
        .split(',')
        .map(|name| name.trim().trim_matches('"').to_ascii_lowercase())
        .collect();
    if names.len() > MAX_COLUMNS {
        return None;
    }
    let find = |wanted: &str| names.iter().position(|name| name == wanted);
    let any = |wanted: &[&str]| wanted.iter().find_map(|name| find(name));
    let all = |wanted: &[&str]| {
        wanted
            .iter()
            .map(|name| find(name))
            .collect::<Option<Vec<_>>>()
    };

    let time = match find("ts_ns")
        .or_else(|| find("ts_init_ns"))
        .or_else(|| find("ts_event_ns"))
    {
        Some(column) => (column, TimeColumn::Nanos),
        None => (
            any(&["ts_utc", "ts", "timestamp", "date"])?,
            TimeColumn::Text,
        ),
    };
    let mut layout = Layout {
        kind: CsvKind::Bars,
        columns: names.len(),
        time,
        symbol: any(&["symbol", "instrument_id", "instrument"]),
        prices: Vec::new(),
        quantities: Vec::new(),
        tick_kind: None,
        suspicious: find("suspicious"),
        aggressor: any(&["aggressor", "side"]),
        trade_id: find("trade_id"),
    };
    let both = |bid: &[&str], ask: &[&str]| any(bid).zip(any(ask)).map(|(b, a)| vec![b, a]);
    let sizes = both(&["bid_size", "bid_quantity"], &["ask_size", "ask_quantity"]);
    if let (Some(kind), Some(prices), Some(quantities)) = (
        find("kind"),
        all(&["price_or_bid", "ask"]),
        all(&["size_or_bidsize", "asksize"]),
    ) {
        layout.kind = CsvKind::Ticks;
        layout.tick_kind = Some(kind);
        (layout.prices, layout.quantities) = (prices, quantities);
    } else if let Some(prices) = all(&[
        "bid_open",
        "bid_high",
        "bid_low",
        "bid_close",
        "ask_open",
        "ask_high",
        "ask_low",
        "ask_close",
    ]) {
        layout.kind = CsvKind::QuoteBars;
        (layout.prices, layout.quantities) = (prices, sizes.unwrap_or_default());
    } else if let Some(prices) = all(&["open", "high", "low", "close"]) {
        layout.kind = CsvKind::Bars;
        layout.prices = prices;
        layout.quantities = find("volume").into_iter().collect();
    } else if let Some(prices) = both(&["bid", "bid_price"], &["ask", "ask_price"]) {
        layout.kind = CsvKind::Quotes;
        (layout.prices, layout.quantities) = (prices, sizes.unwrap_or_default());
    } else {
        layout.kind = CsvKind::Trades;
        layout.prices = vec![find("price")?];
        layout.quantities = vec![any(&["size", "quantity"])?];
    }
    Some(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(header: &str) -> Option<CsvKind> {
        recognise(header.as_bytes()).map(|layout| layout.kind)
    }

    #[test]
    fn each_layout_is_told_by_its_header() {
        assert_eq!(kind("date,open,high,low,close"), Some(CsvKind::Bars));
        assert_eq!(
            kind("\u{feff}Symbol, Date ,Open,High,Low,Close,Volume"),
            Some(CsvKind::Bars)
        );
        assert_eq!(
            kind("ts,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close"),
            Some(CsvKind::QuoteBars)
        );
        assert_eq!(kind("ts_utc,bid,ask"), Some(CsvKind::Quotes));
        assert_eq!(
            kind("ts_utc,kind,price_or_bid,size_or_bidsize,ask,asksize,exchange,cond,suspicious"),
            Some(CsvKind::Ticks)
        );
        assert_eq!(kind("timestamp,price,quantity"), Some(CsvKind::Trades));
    }

    #[test]
    fn a_file_without_time_or_prices_is_not_recognised() {
        assert_eq!(kind("open,high,low,close"), None);
        assert_eq!(kind("ts,open,high,low"), None);
        assert_eq!(kind(""), None);
        assert_eq!(kind(&format!("ts,price,size{}", ",x".repeat(40))), None);
        assert_eq!(recognise(&[0x1f, 0x8b, 0xff]), None);
    }

    #[test]
    fn columns_may_stand_in_any_order() {
        let layout = recognise(b"close,low,high,open,ts_ns").unwrap();
        assert_eq!(layout.prices, [3, 2, 1, 0]);
        assert_eq!(layout.time, (4, TimeColumn::Nanos));
        assert!(layout.quantities.is_empty());
    }
}
