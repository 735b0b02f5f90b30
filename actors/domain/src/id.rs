//! Identifiers. Each is its own type, so that one cannot stand where another is meant.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use thiserror::Error;

/// Why a text is no identifier. The caller fixes the text; trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    #[error("{kind} is empty")]
    Empty { kind: &'static str },
    #[error("{kind} has {length} bytes, at most {limit} are allowed")]
    TooLong {
        kind: &'static str,
        length: usize,
        limit: usize,
    },
    #[error("{kind} may only hold {allowed}")]
    Character {
        kind: &'static str,
        allowed: &'static str,
    },
    #[error("instrument id has no venue, expected SYMBOL.VENUE")]
    NoVenue,
}

fn check(
    kind: &'static str,
    text: &str,
    limit: usize,
    allowed: &'static str,
    is_allowed: fn(u8) -> bool,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { kind });
    }
    if text.len() > limit {
        return Err(IdError::TooLong {
            kind,
            length: text.len(),
            limit,
        });
    }
    if !text.bytes().all(is_allowed) {
        return Err(IdError::Character { kind, allowed });
    }
    Ok(())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn is_client_id(byte: u8) -> bool {
    is_name(byte) || byte == b':'
}

fn is_symbol(byte: u8) -> bool {
    is_client_id(byte) || byte == b'/'
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $limit:literal, $allowed:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text over as an identifier.
            ///
            /// Errors: [`IdError`] when it is empty, too long or holds another character.
            pub fn new(text: &str) -> Result<Self, IdError> {
                check($kind, text, $limit, $allowed, $check)?;
                Ok(Self(Arc::from(text)))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id!(
    /// A trading account (FIX 1), `[A-Za-z0-9._-]{1,64}`.
    AccountId, "account_id", 64, "letters, digits, '.', '_' and '-'", is_name
);
text_id!(
    /// A strategy, the owner of orders and positions inside an account.
    StrategyId, "strategy_id", 64, "letters, digits, '.', '_' and '-'", is_name
);
text_id!(
    /// The client's own id of an order (FIX 11), `[A-Za-z0-9._:-]{1,36}`, unique per account for
    /// ever.
    ClientOrderId, "client_order_id", 36, "letters, digits, '.', '_', ':' and '-'", is_client_id
);
text_id!(
    /// The platform's id of an order, made from account and journal sequence.
    OrderId, "order_id", 96, "letters, digits, '.', '_', ':' and '-'", is_client_id
);
text_id!(
    /// The venue's id of an order (FIX 37).
    VenueOrderId, "venue_order_id", 64, "letters, digits, '.', '_', ':', '/' and '-'", is_symbol
);
text_id!(
    /// The venue's id of one execution (FIX 17), unique within a venue.
    ExecId, "exec_id", 64, "letters, digits, '.', '_', ':', '/' and '-'", is_symbol
);
text_id!(
    /// The caller's id of a request that changes something, for the same answer when repeated.
    RequestId, "request_id", 64, "letters, digits, '.', '_', ':' and '-'", is_client_id
);
text_id!(
    /// The client's own id of a list of orders (FIX 66), `[A-Za-z0-9._:-]{1,36}`, unique per
    /// account for ever.
    OrderListId, "order_list_id", 36, "letters, digits, '.', '_', ':' and '-'", is_client_id
);
text_id!(
    /// The platform's id of an order session, by which a client takes it up again.
    OrderSessionId, "session_id", 64, "letters, digits, '.', '_' and '-'", is_name
);
text_id!(
    /// A currency or asset code, such as `USD` or `BTC`.
    Currency, "currency", 16, "letters, digits, '.', '_' and '-'", is_name
);

impl StrategyId {
    /// The one before every other in order: where a search by instrument begins.
    pub(crate) fn least() -> StrategyId {
        StrategyId(Arc::from(""))
    }

    /// The owner of what a person ordered without naming a strategy.
    pub fn manual() -> StrategyId {
        StrategyId(Arc::from("MANUAL"))
    }

    /// The owner of differences that reconciliation found.
    pub fn external() -> StrategyId {
        StrategyId(Arc::from("EXTERNAL"))
    }
}

/// An instrument at a venue (FIX 55 and 207), written `SYMBOL.VENUE` and split at the last dot:
/// `BRK.B.XNYS` is the symbol `BRK.B` at `XNYS`. At most 64 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstrumentId(Arc<str>);

impl InstrumentId {
    /// Parses `SYMBOL.VENUE`.
    ///
    /// Errors: [`IdError`] when a part is missing or a character is not allowed.
    pub fn new(text: &str) -> Result<InstrumentId, IdError> {
        const ALLOWED: &str = "letters, digits, '.', '_', ':', '/' and '-'";
        check("instrument_id", text, 64, ALLOWED, is_symbol)?;
        match text.rsplit_once('.') {
            Some((symbol, venue)) if !symbol.is_empty() && !venue.is_empty() => {
                Ok(InstrumentId(Arc::from(text)))
            }
            _ => Err(IdError::NoVenue),
        }
    }

    /// Parses a text in which a bare symbol means the instrument of that name at `SIM`.
    ///
    /// Errors: as [`InstrumentId::new`].
    pub fn in_command(text: &str) -> Result<InstrumentId, IdError> {
        if text.contains('.') {
            InstrumentId::new(text)
        } else {
            InstrumentId::new(&format!("{text}.SIM"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part before the last dot.
    pub fn symbol(&self) -> &str {
        self.0
            .rsplit_once('.')
            .map_or(&*self.0, |(symbol, _)| symbol)
    }

    /// Returns the part behind the last dot.
    pub fn venue(&self) -> &str {
        self.0.rsplit_once('.').map_or("", |(_, venue)| venue)
    }
}

impl TryFrom<String> for InstrumentId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        InstrumentId::new(&text)
    }
}

impl From<InstrumentId> for String {
    fn from(id: InstrumentId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for InstrumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InstrumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instrument_id_splits_at_the_last_dot() {
        let id = InstrumentId::new("BRK.B.XNYS").unwrap();
        assert_eq!((id.symbol(), id.venue()), ("BRK.B", "XNYS"));
        assert_eq!(
            InstrumentId::new("BTC/USD.ALPACA").unwrap().symbol(),
            "BTC/USD"
        );
    }

    #[test]
    fn a_bare_symbol_in_a_command_means_the_simulated_venue() {
        assert_eq!(
            InstrumentId::in_command("BTCUSDT").unwrap().as_str(),
            "BTCUSDT.SIM"
        );
    }

    #[test]
    fn a_part_that_is_missing_is_refused() {
        for text in ["BTCUSDT", ".SIM", "BTC."] {
            assert_eq!(InstrumentId::new(text), Err(IdError::NoVenue), "{text}");
        }
        assert!(matches!(InstrumentId::new(""), Err(IdError::Empty { .. })));
    }

    #[test]
    fn client_order_ids_keep_to_36_bytes_of_their_alphabet() {
        assert!(ClientOrderId::new(&"a".repeat(36)).is_ok());
        assert!(matches!(
            ClientOrderId::new(&"a".repeat(37)),
            Err(IdError::TooLong {
                length: 37,
                limit: 36,
                ..
            })
        ));
        for text in ["a b", "a\n", "ä", "a/b", "a\0"] {
            assert!(
                matches!(ClientOrderId::new(text), Err(IdError::Character { .. })),
                "{text:?}"
            );
        }
    }
}
