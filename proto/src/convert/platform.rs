//! The exposure limit over all accounts.

use super::text;
use crate::field::{FieldErrors, Fields};
use crate::v1;
use apex_domain::risk::platform::{AccountShare, PlatformChange, PlatformLimit, PlatformView};
use apex_domain::{Currency, Money};

/// Reads a change of the limit.
///
/// Errors: every field that cannot be read; a negative limit, and a currency without a limit or
/// the other way round.
pub fn read_set_platform_limits(
    request: &v1::SetPlatformLimitsRequest,
) -> Result<PlatformChange, FieldErrors> {
    let mut fields = Fields::new();
    let f = &mut fields;
    let request_id = text::request_id(f, &request.request_id);
    let limit = read_limit(f, &request.max_exposure, &request.currency);
    let change = request_id.zip(limit);
    let change = change.map(|(request_id, limit)| PlatformChange {
        request_id,
        limit,
        expected_sequence: (request.expected_sequence != 0).then_some(request.expected_sequence),
    });
    fields.finish(change)
}

fn read_limit(f: &mut Fields, max_exposure: &str, currency: &str) -> Option<Option<PlatformLimit>> {
    if max_exposure.is_empty() {
        if !currency.is_empty() {
            f.refuse("currency", "is only for a limit, and max_exposure is empty");
            return None;
        }
        return Some(None);
    }
    let money = text::money(f, "max_exposure", max_exposure);
    let currency = f.take("currency", Currency::new(currency));
    let money = money?;
    if money < Money::ZERO {
        f.refuse("max_exposure", "must not be negative");
        return None;
    }
    Some(Some(PlatformLimit {
        currency: currency?,
        max_exposure: money,
    }))
}

/// Writes the limit with the shares of those accounts that are shown.
pub fn platform_limits(
    view: &PlatformView,
    is_shown: impl Fn(&AccountShare) -> bool,
) -> v1::PlatformLimits {
    let text = |money: Option<Money>| money.map(|money| money.to_string()).unwrap_or_default();
    let limit = view.limit.as_ref();
    let shown = view.accounts.iter().filter(|account| is_shown(account));
    v1::PlatformLimits {
        max_exposure: text(limit.map(|limit| limit.max_exposure)),
        currency: limit
            .map(|limit| limit.currency.to_string())
            .unwrap_or_default(),
        sequence: view.sequence,
        handed_out: view.handed_out.to_string(),
        in_force: view.in_force,
        accounts: shown
            .map(|account| v1::PlatformShare {
                account_id: account.account_id.to_string(),
                share: text(account.share),
                exposure: text(account.exposure),
                away: account.away,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(max_exposure: &str, currency: &str) -> v1::SetPlatformLimitsRequest {
        v1::SetPlatformLimitsRequest {
            request_id: "r-1".into(),
            max_exposure: max_exposure.into(),
            currency: currency.into(),
            expected_sequence: 3,
        }
    }

    #[test]
    fn a_limit_and_its_end_are_read() {
        let change = read_set_platform_limits(&request("1000.5", "USDT")).unwrap();
        let limit = change.limit.unwrap();
        assert_eq!(limit.max_exposure.to_string(), "1000.5");
        assert_eq!(limit.currency.to_string(), "USDT");
        assert_eq!(change.expected_sequence, Some(3));
        assert_eq!(
            read_set_platform_limits(&request("", "")).unwrap().limit,
            None
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (max_exposure, currency, field) in [
            ("1", "", "currency"),
            ("", "USDT", "currency"),
            ("-1", "USDT", "max_exposure"),
            ("NaN", "USDT", "max_exposure"),
        ] {
            let errors = read_set_platform_limits(&request(max_exposure, currency)).unwrap_err();
            assert_eq!(errors.errors()[0].field, field, "{max_exposure} {currency}");
        }
    }

    #[test]
    fn accounts_that_are_not_granted_are_counted_and_not_shown() {
        let share = |id: &str| AccountShare {
            account_id: apex_domain::AccountId::new(id).unwrap(),
            share: Some(Money::parse("5").unwrap()),
            exposure: None,
            away: false,
        };
        let view = PlatformView {
            limit: None,
            sequence: 7,
            handed_out: Money::parse("10").unwrap(),
            in_force: true,
            epoch: 1,
            accounts: vec![share("a"), share("b")],
        };
        let wire = platform_limits(&view, |account| account.account_id.as_str() == "b");
        assert_eq!((wire.handed_out.as_str(), wire.accounts.len()), ("10", 1));
        assert_eq!(
            (
                wire.accounts[0].share.as_str(),
                wire.accounts[0].exposure.as_str()
            ),
            ("5", "")
        );
        assert_eq!(
            (wire.max_exposure.as_str(), wire.currency.as_str()),
            ("", "")
        );
    }
}
