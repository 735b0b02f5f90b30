//! Pages of a list, across accounts.

use crate::status;
use apex_domain::AccountId;
use tonic::Status;

const DEFAULT: usize = 100;
/// More is cut to this, as the .proto files say.
const LIMIT: usize = 1_000;

/// Returns how many things a page holds.
///
/// Errors: a negative size.
pub fn size(page_size: i32) -> Result<usize, Status> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(DEFAULT),
        Ok(size) => Ok(size.min(LIMIT)),
        Err(_) => Err(status::invalid_field("page_size", "must not be negative")),
    }
}

/// Where a page begins: in an account, behind a cursor of that account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub account_id: AccountId,
    pub cursor: Option<u64>,
}

impl Place {
    /// Reads a page token; empty is none.
    ///
    /// Errors: a text that no answer ever held.
    pub fn read(page_token: &str) -> Result<Option<Place>, Status> {
        if page_token.is_empty() {
            return Ok(None);
        }
        let bad = || status::invalid_field("page_token", "is not one that a list answered");
        let (account, cursor) = page_token.split_once(':').ok_or_else(bad)?;
        let account_id = AccountId::new(account).map_err(|_| bad())?;
        let cursor = match cursor {
            "" => None,
            digits => Some(digits.parse().map_err(|_| bad())?),
        };
        Ok(Some(Place { account_id, cursor }))
    }

    pub fn write(&self) -> String {
        let cursor = self
            .cursor
            .map(|cursor| cursor.to_string())
            .unwrap_or_default();
        format!("{}:{cursor}", self.account_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_way_out_and_in() {
        for cursor in [None, Some(0), Some(u64::MAX)] {
            let place = Place {
                account_id: AccountId::new("paper.1").unwrap(),
                cursor,
            };
            assert_eq!(Place::read(&place.write()).unwrap(), Some(place));
        }
        assert_eq!(Place::read("").unwrap(), None);
    }

    #[test]
    fn a_token_that_no_list_answered_is_refused() {
        for token in [
            "x",
            "a b:1",
            ":1",
            "paper:x",
            "paper:-1",
            &"p".repeat(10_000),
        ] {
            assert!(Place::read(token).is_err(), "{token:.40}");
        }
    }

    #[test]
    fn a_page_has_a_size() {
        assert_eq!(size(0).unwrap(), 100);
        assert_eq!(size(7).unwrap(), 7);
        assert_eq!(size(i32::MAX).unwrap(), 1_000);
        assert!(size(-1).is_err());
    }
}
