//! What a setting says of a server: where it is, and how it is spoken to.

use super::server::{ServerOptions, text};
use crate::StorageError;
use crate::tls;
use std::borrow::Cow;
use std::str::FromStr;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) fn parse(options: &ServerOptions) -> Result<Config, StorageError> {
    let setting = |detail: String| StorageError::Setting {
        variable: options.variable,
        detail,
    };
    let mut config = Config::from_str(&understood(&options.url)).map_err(|error| {
        // Its text names options and their form, never a value of ours.
        setting(format!(
            "is no PostgreSQL URL ({}): give postgres://user:password@host:port/database",
            text(&error)
        ))
    })?;
    if config.get_hosts().is_empty() {
        return Err(setting(
            "names no host: give postgres://user:password@host:port/database".to_owned(),
        ));
    }
    // A node whose machine went away holds its locks until the server notices: within half a minute.
    let mut more = String::from(
        "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4",
    );
    if let Some(space) = options.space {
        more.push_str(" -c search_path=");
        more.push_str(space);
    }
    let given = config.get_options().unwrap_or_default();
    let words = format!("{given} {more}");
    config
        .options(words.trim())
        .application_name("apextrade")
        .connect_timeout(options.timeout);
    Ok(config)
}

/// Other clients say `verify-full` for what is the only kind of `require` here.
fn understood(url: &str) -> Cow<'_, str> {
    match url.split_once('?') {
        Some((place, words)) if words.contains("sslmode=verify-") => {
            let words = words.replace("sslmode=verify-full", "sslmode=require");
            let words = words.replace("sslmode=verify-ca", "sslmode=require");
            Cow::Owned(format!("{place}?{words}"))
        }
        _ => Cow::Borrowed(url),
    }
}

/// Returns how TLS is spoken where the URL asks for it. The certificate must then be one that is
/// trusted, and of that host. Where the URL does not, it is not tried either: a certificate that
/// nobody looked at protects from nobody.
///
/// Errors: `Setting`.
pub(super) fn tls_of(
    options: &ServerOptions,
    config: &Config,
) -> Result<Option<MakeRustlsConnect>, StorageError> {
    if config.get_ssl_mode() != SslMode::Require {
        return Ok(None);
    }
    let trusting = tls::trusting().map_err(|error| StorageError::Setting {
        variable: options.variable,
        detail: format!("asks for TLS (sslmode=require), and {error}"),
    })?;
    Ok(Some(MakeRustlsConnect::new(trusting)))
}

pub(super) fn name_of(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5_432);
    let user = config.get_user().unwrap_or_default();
    format!("{host}:{port}/{}", config.get_dbname().unwrap_or(user))
}
