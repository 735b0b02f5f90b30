//! From the bytes of a frame to a [`Message`].

use super::error::{WireError, WireErrorKind as Kind};
use super::message::{BookTicker, ControlAnswer, Depth, DepthSnapshot, Message, Print, WireLevel};
use super::scan::Cursor;
use crate::decimal::WireDecimal;

/// Parses frames. It owns the buffers that price levels are read into, so that a frame costs no
/// allocation once they have grown.
#[derive(Debug, Default)]
pub struct Codec {
    bids: Vec<WireLevel>,
    asks: Vec<WireLevel>,
}

/// The members of a payload that have a meaning here. One letter means different things in
/// different events, so each form has its own place.
#[derive(Default)]
struct Members<'a> {
    stream: Option<&'a [u8]>,
    event: Option<&'a [u8]>,
    symbol: Option<&'a [u8]>,
    event_time: Option<u64>,
    trade_time: Option<u64>,
    trade_id: Option<u64>,
    aggregate_id: Option<u64>,
    first_id: Option<u64>,
    last_id: Option<u64>,
    previous_id: Option<u64>,
    snapshot_id: Option<u64>,
    price: Option<WireDecimal>,
    quantity: Option<WireDecimal>,
    bid_price: Option<WireDecimal>,
    bid_quantity: Option<WireDecimal>,
    ask_price: Option<WireDecimal>,
    ask_quantity: Option<WireDecimal>,
    buyer_is_maker: Option<bool>,
    has_bids: bool,
    has_asks: bool,
    id: Option<&'a [u8]>,
    has_result: bool,
    code: Option<i64>,
    text: Option<&'a [u8]>,
}

impl Codec {
    pub fn new() -> Codec {
        Codec::default()
    }

    /// Parses one frame: a combined-stream frame (`{"stream":..,"data":..}`), a raw one, a REST
    /// depth snapshot or a control answer. Members may stand in any order, unknown ones are
    /// passed over, of a repeated one the last counts.
    ///
    /// Errors: [`WireError`]; the frame is to be counted and skipped.
    pub fn parse<'m>(&'m mut self, frame: &'m [u8]) -> Result<Message<'m>, WireError> {
        let mut cursor = Cursor::new(frame);
        let mut members = Members::default();
        self.bids.clear();
        self.asks.clear();
        cursor.expect(b'{', "'{'")?;
        let mut first = true;
        while let Some(key) = cursor.key(first)? {
            first = false;
            match key {
                b"stream" if cursor.peek_value() == b'"' => members.stream = Some(cursor.string()?),
                b"data" | b"error" if cursor.peek_value() == b'{' => {
                    cursor.expect(b'{', "'{'")?;
                    let mut inner_first = true;
                    while let Some(key) = cursor.key(inner_first)? {
                        inner_first = false;
                        self.member(&mut cursor, key, &mut members)?;
                    }
                }
                _ => self.member(&mut cursor, key, &mut members)?,
            }
        }
        cursor.end()?;
        self.message(&members, frame.len())
    }

    /// Reads the value of one member. A value of another form than the known one is passed over:
    /// what is needed is then missing, which [`Codec::message`] reports.
    #[inline]
    fn member<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        key: &[u8],
        members: &mut Members<'a>,
    ) -> Result<(), WireError> {
        match (key, cursor.peek_value()) {
            (b"e", b'"') => members.event = Some(cursor.string()?),
            (b"s", b'"') => members.symbol = Some(cursor.string()?),
            (b"E", b'0'..=b'9') => members.event_time = Some(cursor.unsigned("E")?),
            (b"T", b'0'..=b'9') => members.trade_time = Some(cursor.unsigned("T")?),
            (b"u", b'0'..=b'9') => members.last_id = Some(cursor.unsigned("u")?),
            (b"b", b'"') => members.bid_price = Some(cursor.decimal("b")?),
            (b"B", b'"') => members.bid_quantity = Some(cursor.decimal("B")?),
            (b"a", b'"') => members.ask_price = Some(cursor.decimal("a")?),
            (b"A", b'"') => members.ask_quantity = Some(cursor.decimal("A")?),
            (b"b" | b"bids", b'[') => {
                levels(cursor, &mut self.bids, ["bid price", "bid quantity"])?;
                members.has_bids = true;
            }
            (b"a" | b"asks", b'[') => {
                levels(cursor, &mut self.asks, ["ask price", "ask quantity"])?;
                members.has_asks = true;
            }
            (b"p", b'"') => members.price = Some(cursor.decimal("p")?),
            (b"q", b'"') => members.quantity = Some(cursor.decimal("q")?),
            (b"t", b'0'..=b'9') => members.trade_id = Some(cursor.unsigned("t")?),
            (b"m", b't' | b'f') => members.buyer_is_maker = Some(cursor.boolean()?),
            (b"U", b'0'..=b'9') => members.first_id = Some(cursor.unsigned("U")?),
            (b"pu", b'0'..=b'9') => members.previous_id = Some(cursor.unsigned("pu")?),
            (b"a", b'0'..=b'9') => members.aggregate_id = Some(cursor.unsigned("a")?),
            (b"lastUpdateId", b'0'..=b'9') => {
                members.snapshot_id = Some(cursor.unsigned("lastUpdateId")?);
            }
            (b"id", _) => members.id = Some(cursor.skip_value()?),
            (b"msg", b'"') => members.text = Some(cursor.string()?),
            (b"code", _) => {
                let text = cursor.skip_value()?;
                members.code = std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok());
            }
            (b"result", _) => {
                cursor.skip_value()?;
                members.has_result = true;
            }
            _ => drop(cursor.skip_value()?),
        }
        Ok(())
    }

    /// Decides what a frame is and whether all of it is there.
    fn message<'m>(&'m self, m: &Members<'m>, length: usize) -> Result<Message<'m>, WireError> {
        let missing = |field| move || Kind::Missing(field).at(length);
        match m.event {
            Some(b"depthUpdate") => self.depth(m, length).map(Message::Depth),
            Some(b"trade") => {
                let id = m.trade_id.ok_or_else(missing("t"))?;
                print(m, id, length).map(Message::Trade)
            }
            Some(b"aggTrade") => {
                let id = m.aggregate_id.ok_or_else(missing("a"))?;
                print(m, id, length).map(Message::AggTrade)
            }
            Some(b"bookTicker") => book_ticker(m, length).map(Message::BookTicker),
            Some(b"serverShutdown") => Ok(Message::ServerShutdown {
                event_time_ns: time(m.event_time, "E", length)?,
            }),
            Some(event) => Ok(Message::Other { event: text(event) }),
            // The spot market's bookTicker carries no event name.
            None if m.bid_price.is_some() && m.ask_price.is_some() => {
                book_ticker(m, length).map(Message::BookTicker)
            }
            // A partial book (`@depth5`) looks like the REST answer, but comes over a stream.
            None if m.snapshot_id.is_some() && m.stream.is_none() => {
                Ok(Message::Snapshot(DepthSnapshot {
                    last_update_id: m.snapshot_id.ok_or_else(missing("lastUpdateId"))?,
                    bids: m
                        .has_bids
                        .then_some(self.bids.as_slice())
                        .ok_or_else(missing("bids"))?,
                    asks: m
                        .has_asks
                        .then_some(self.asks.as_slice())
                        .ok_or_else(missing("asks"))?,
                    event_time_ns: m
                        .event_time
                        .map(|t| time(Some(t), "E", length))
                        .transpose()?,
                }))
            }
            None if m.has_result || m.code.is_some() => Ok(Message::Control(ControlAnswer {
                id: text(m.id.unwrap_or(b"null")),
                error_code: m.code,
                error_text: m.text.map(text),
            })),
            None => match m.stream {
                Some(stream) if m.snapshot_id.is_some() || !is_known_stream(stream) => {
                    Ok(Message::Other {
                        event: text(stream),
                    })
                }
                _ => Err(Kind::Missing("e").at(length)),
            },
        }
    }

    fn depth<'m>(&'m self, m: &Members<'m>, length: usize) -> Result<Depth<'m>, WireError> {
        let missing = |field| move || Kind::Missing(field).at(length);
        let depth = Depth {
            symbol: symbol(m, length)?,
            event_time_ns: time(m.event_time, "E", length)?,
            first_update_id: m.first_id.ok_or_else(missing("U"))?,
            last_update_id: m.last_id.ok_or_else(missing("u"))?,
            previous_update_id: m.previous_id,
            bids: m
                .has_bids
                .then_some(self.bids.as_slice())
                .ok_or_else(missing("b"))?,
            asks: m
                .has_asks
                .then_some(self.asks.as_slice())
                .ok_or_else(missing("a"))?,
        };
        if depth.first_update_id > depth.last_update_id {
            return Err(Kind::Ids.at(length));
        }
        Ok(depth)
    }
}

/// Returns true for the streams whose every frame has to be understood.
fn is_known_stream(stream: &[u8]) -> bool {
    let kind = stream.split(|byte| *byte == b'@').nth(1).unwrap_or(b"");
    kind.starts_with(b"depth") || matches!(kind, b"trade" | b"aggTrade" | b"bookTicker")
}

fn print<'a>(m: &Members<'a>, trade_id: u64, length: usize) -> Result<Print<'a>, WireError> {
    let missing = |field| move || Kind::Missing(field).at(length);
    Ok(Print {
        symbol: symbol(m, length)?,
        trade_id,
        price: m.price.ok_or_else(missing("p"))?,
        quantity: m.quantity.ok_or_else(missing("q"))?,
        trade_time_ns: time(m.trade_time, "T", length)?,
        event_time_ns: time(m.event_time, "E", length)?,
        buyer_is_maker: m.buyer_is_maker.ok_or_else(missing("m"))?,
    })
}

fn book_ticker<'a>(m: &Members<'a>, length: usize) -> Result<BookTicker<'a>, WireError> {
    let missing = |field| move || Kind::Missing(field).at(length);
    Ok(BookTicker {
        symbol: symbol(m, length)?,
        update_id: m.last_id.ok_or_else(missing("u"))?,
        bid: WireLevel {
            price: m.bid_price.ok_or_else(missing("b"))?,
            quantity: m.bid_quantity.ok_or_else(missing("B"))?,
        },
        ask: WireLevel {
            price: m.ask_price.ok_or_else(missing("a"))?,
            quantity: m.ask_quantity.ok_or_else(missing("A"))?,
        },
        event_time_ns: m
            .event_time
            .map(|t| time(Some(t), "E", length))
            .transpose()?,
    })
}

/// Returns the symbol. In a combined frame the stream's name repeats it, so a garbled one shows
/// and cannot pass as an instrument of its own.
fn symbol<'a>(m: &Members<'a>, length: usize) -> Result<&'a str, WireError> {
    let symbol = m.symbol.filter(|symbol| !symbol.is_empty());
    let symbol = symbol.ok_or_else(|| Kind::Missing("s").at(length))?;
    if let Some(stream) = m.stream {
        let is_same = stream.get(symbol.len()) == Some(&b'@')
            && stream[..symbol.len()].eq_ignore_ascii_case(symbol);
        if !is_same {
            return Err(Kind::Stream.at(length));
        }
    }
    std::str::from_utf8(symbol).map_err(|_| Kind::Missing("s").at(length))
}

/// Takes milliseconds, or the microseconds that `timeUnit=MICROSECOND` asks for, to nanoseconds.
/// They are told apart by size: 10^14 milliseconds are the year 5138.
fn time(value: Option<u64>, field: &'static str, length: usize) -> Result<i64, WireError> {
    let value = value.ok_or_else(|| Kind::Missing(field).at(length))?;
    let unit = if value < 100_000_000_000_000 {
        1_000_000
    } else {
        1_000
    };
    i64::try_from(value)
        .ok()
        .and_then(|value| value.checked_mul(unit))
        .ok_or_else(|| Kind::Time(field).at(length))
}

/// Returns text for a message to people; what is no UTF-8 is left out.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

/// Reads `[["price","quantity"],..]`. Members of a level behind the second are passed over.
fn levels(
    cursor: &mut Cursor<'_>,
    out: &mut Vec<WireLevel>,
    fields: [&'static str; 2],
) -> Result<(), WireError> {
    out.clear();
    cursor.expect(b'[', "'['")?;
    if cursor.take(b']') {
        return Ok(());
    }
    loop {
        cursor.expect(b'[', "a price level")?;
        let price = cursor.decimal(fields[0])?;
        cursor.expect(b',', "','")?;
        let quantity = cursor.decimal(fields[1])?;
        while cursor.take(b',') {
            cursor.skip_value()?;
        }
        cursor.expect(b']', "']'")?;
        out.push(WireLevel { price, quantity });
        if cursor.take(b']') {
            return Ok(());
        }
        cursor.expect(b',', "',' or ']'")?;
    }
}
