//! Logs: structured lines on standard error, so that standard output stays for answers.

use std::io::IsTerminal;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a person at a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up. The setting has to be mended.
#[derive(Debug, Error)]
pub enum LogError {
    #[error("APEX_LOG \"{filter}\" is no filter, expected for example info,apex_broker=debug")]
    Filter {
        filter: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("APEX_LOG_FORMAT \"{0}\" is not known, expected text or json")]
    Format(String),
    #[error("logging was set up already")]
    Twice,
}

impl Format {
    /// Reads the setting; without one it is text on a terminal and JSON elsewhere.
    ///
    /// Errors: `Format` for another word.
    pub fn from_setting(setting: Option<&str>) -> Result<Format, LogError> {
        match setting {
            Some("text") => Ok(Format::Text),
            Some("json") => Ok(Format::Json),
            Some(other) => Err(LogError::Format(other.to_owned())),
            None if std::io::stderr().is_terminal() => Ok(Format::Text),
            None => Ok(Format::Json),
        }
    }
}

/// Starts logging for the whole process.
///
/// Errors: [`LogError`].
pub fn init(filter: &str, format: Format) -> Result<(), LogError> {
    let parsed = EnvFilter::try_new(filter).map_err(|source| LogError::Filter {
        filter: filter.to_owned(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        // Told on standard error too, by a macro that panics when that cannot be written, to a
        // full disk perhaps: losing a line is better than losing the process.
        .log_internal_errors(false);
    match format {
        Format::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| LogError::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_format_is_refused_by_name() {
        let error = Format::from_setting(Some("xml")).unwrap_err();
        assert!(error.to_string().contains("\"xml\""), "{error}");
    }
}
