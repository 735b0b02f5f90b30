//! Values of flags.

use apex_domain::{Currency, Money, Rate};

pub(super) fn money(text: &str) -> Result<Money, String> {
    Money::parse(text).map_err(|error| error.to_string())
}

pub(super) fn balance(text: &str) -> Result<(Currency, Money), String> {
    let (currency, amount) = text
        .split_once('=')
        .ok_or("must be CURRENCY=AMOUNT, such as USDT=1000")?;
    let currency = Currency::new(currency).map_err(|error| error.to_string())?;
    Ok((currency, money(amount)?))
}

/// A share from 0 to 1.
pub(super) fn share(text: &str) -> Result<Rate, String> {
    match Rate::parse(text) {
        Ok(rate) if rate >= Rate::ZERO && rate.0 <= 1.into() => Ok(rate),
        Ok(_) => Err("must be from 0 to 1".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
