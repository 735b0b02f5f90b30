//! What is wrong with a request, field by field.

use std::fmt;
use thiserror::Error;

/// One field that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field as the .proto names it, with a dotted path inside messages.
    pub field: String,
    /// What is wrong and what is expected. Never repeats the caller's text, which may be long or
    /// hold control characters.
    pub description: String,
}

/// All fields of one request that cannot be taken; at least one. The caller mends the request;
/// sending it again does not help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Returns the violation of a single field.
    pub fn one(field: impl Into<String>, description: impl fmt::Display) -> FieldErrors {
        FieldErrors(vec![FieldError {
            field: field.into(),
            description: description.to_string(),
        }])
    }

    /// Adds what to do to every violation that was described so.
    pub fn advise(&mut self, described: &str, advice: &str) {
        for error in &mut self.0 {
            if error.description == described {
                error.description = format!("{described}; {advice}");
            }
        }
    }

    /// Returns the violations in the order in which the fields were read.
    pub fn errors(&self) -> &[FieldError] {
        &self.0
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            let description = &error.description;
            // Most descriptions name what they are about already.
            if description.split(' ').next() == Some(error.field.as_str()) {
                write!(f, "{separator}{description}")?;
            } else {
                write!(f, "{separator}{}: {description}", error.field)?;
            }
        }
        Ok(())
    }
}

/// Collects the violations of one request, so that the caller hears of all of them at once.
#[derive(Debug, Default)]
pub struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    pub fn new() -> Fields {
        Fields::default()
    }

    /// Notes that `field` is wrong.
    pub fn refuse(&mut self, field: &str, description: impl fmt::Display) {
        let description = description.to_string();
        self.errors.push(FieldError {
            field: field.to_owned(),
            description,
        });
    }

    /// Returns the value, or notes the error and returns `None`.
    pub fn take<T, E: fmt::Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(field, error);
                None
            }
        }
    }

    /// Notes everything that is wrong inside of `path`, a message of this request.
    pub fn within(&mut self, path: &str, inner: Fields) {
        let inner = inner.errors.into_iter();
        self.errors.extend(inner.map(|error| FieldError {
            field: format!("{path}.{}", error.field),
            description: error.description,
        }));
    }

    /// Returns `value` when nothing was noted. A value is `None` only where an error was noted.
    ///
    /// Errors: all that was noted.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, FieldErrors> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ if self.errors.is_empty() => Err(FieldErrors::one("request", "is incomplete")),
            _ => Err(FieldErrors(self.errors)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_collected_in_order() {
        let mut fields = Fields::new();
        fields.refuse("a", "is missing");
        let taken: Option<u8> = fields.take("b", Err("is out of range"));
        assert_eq!(taken, None);
        let errors = fields.finish(Some(())).unwrap_err();
        assert_eq!(errors.to_string(), "a: is missing; b: is out of range");
        assert_eq!(errors.errors().len(), 2);
    }

    #[test]
    fn a_field_of_a_message_inside_is_named_with_its_path() {
        let mut inner = Fields::new();
        inner.refuse("side", "is required");
        let mut fields = Fields::new();
        fields.within("orders[2]", inner);
        let errors = fields.finish(Some(())).unwrap_err();
        assert_eq!(errors.to_string(), "orders[2].side: is required");
    }

    #[test]
    fn a_field_is_named_once() {
        let errors = FieldErrors::one("account_id", "account_id is empty");
        assert_eq!(errors.to_string(), "account_id is empty");
    }

    #[test]
    fn a_request_without_violations_gives_its_value() {
        assert_eq!(Fields::new().finish(Some(7)), Ok(7));
    }
}
