//! Settings of alerts: `alerts_…`, or without that in the table `[alerts]` of the settings file.

use super::environment_name;
use anyhow::{Result, anyhow, bail};
use apex_node::alerts::{AlertSettings, EmailSettings, MailTls, TelegramSettings, WebhookSettings};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The table of the settings file, and what the names begin with elsewhere.
pub(super) const TABLE: &str = "alerts";

pub(super) const KEYS: &[&str] = &[
    "alerts_webhook_url",
    "alerts_webhook_secret",
    "alerts_email_host",
    "alerts_email_port",
    "alerts_email_tls",
    "alerts_email_user",
    "alerts_email_password",
    "alerts_email_from",
    "alerts_email_to",
    "alerts_telegram_url",
    "alerts_telegram_token",
    "alerts_telegram_chat",
    "alerts_per_minute",
    "alerts_allow_http",
    "alerts_certificates",
    "alerts_disks",
];

/// Where the Bot API is when nobody says otherwise.
const TELEGRAM: &str = "https://api.telegram.org";

struct Values<'a>(&'a BTreeMap<String, String>);

impl Values<'_> {
    fn get(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default()
    }

    fn number<T: std::str::FromStr>(&self, key: &str, form: &str) -> Result<Option<T>> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        let name = environment_name(key);
        let read = text.parse();
        let wrong = |_| anyhow!("{name} is \"{text}\": it must be {form}");
        read.map(Some).map_err(wrong)
    }

    /// Returns what stands between commas.
    fn list(&self, key: &str) -> Vec<String> {
        let text = self.text(key);
        let parts = text.split(',').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn any(&self, prefix: &str) -> bool {
        self.0.keys().any(|key| key.starts_with(prefix))
    }
}

/// Errors: a value that cannot be read; what cannot work is refused when the node starts.
pub(super) fn read(values: &BTreeMap<String, String>) -> Result<AlertSettings> {
    let values = Values(values);
    let allow_http = match values.text("alerts_allow_http").as_str() {
        "" | "false" => false,
        "true" => true,
        other => bail!("APEX_ALERTS_ALLOW_HTTP is \"{other}\": it must be true or false"),
    };
    let per_minute = values.number("alerts_per_minute", "a number from 1 to 1000")?;
    if !per_minute.is_none_or(|number: u32| (1..=1_000).contains(&number)) {
        bail!("APEX_ALERTS_PER_MINUTE must be a number from 1 to 1000");
    }
    let webhook = values.any("alerts_webhook_").then(|| WebhookSettings {
        url: values.text("alerts_webhook_url"),
        secret: values.text("alerts_webhook_secret"),
        allow_http,
    });
    let telegram = values.any("alerts_telegram_").then(|| TelegramSettings {
        url: values
            .get("alerts_telegram_url")
            .unwrap_or_else(|| TELEGRAM.to_owned()),
        token: values.text("alerts_telegram_token"),
        chat: values.text("alerts_telegram_chat"),
        allow_http,
    });
    let paths = |key: &str| values.list(key).into_iter().map(PathBuf::from).collect();
    Ok(AlertSettings {
        webhook,
        email: email(&values)?,
        telegram,
        per_minute: per_minute.unwrap_or_default(),
        certificates: paths("alerts_certificates"),
        disks: paths("alerts_disks"),
    })
}

fn email(values: &Values<'_>) -> Result<Option<EmailSettings>> {
    if !values.any("alerts_email_") {
        return Ok(None);
    }
    let tls = match values.text("alerts_email_tls").as_str() {
        "" | "starttls" => MailTls::StartTls,
        "tls" => MailTls::Tls,
        "none" => MailTls::None,
        other => bail!("APEX_ALERTS_EMAIL_TLS is \"{other}\": it must be starttls, tls or none"),
    };
    let port = values.number("alerts_email_port", "a port from 1 to 65535")?;
    Ok(Some(EmailSettings {
        host: values.text("alerts_email_host"),
        port,
        tls,
        user: values.get("alerts_email_user"),
        password: values.get("alerts_email_password"),
        from: values.text("alerts_email_from"),
        to: values.list("alerts_email_to"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<AlertSettings> {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        read(&pairs.collect())
    }

    #[test]
    fn a_channel_is_there_when_anything_of_it_is_set() {
        let none = of(&[]).unwrap();
        assert!(none.webhook.is_none() && none.email.is_none() && none.telegram.is_none());
        let some = of(&[
            ("alerts_telegram_token", "hush"),
            ("alerts_email_to", "a@x.org, b@x.org,"),
            ("alerts_certificates", "/a.pem,/b.pem"),
            ("alerts_per_minute", "5"),
        ])
        .unwrap();
        assert_eq!(some.telegram.as_ref().unwrap().url, TELEGRAM);
        assert_eq!(some.email.as_ref().unwrap().to, ["a@x.org", "b@x.org"]);
        assert_eq!((some.certificates.len(), some.per_minute), (2, 5));
        assert!(!format!("{some:?}").contains("hush"), "{some:?}");
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named() {
        for (key, value) in [
            ("alerts_allow_http", "yes"),
            ("alerts_per_minute", "0"),
            ("alerts_per_minute", "many"),
            ("alerts_email_tls", "ssl"),
            ("alerts_email_port", "70000"),
        ] {
            let error = of(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(&environment_name(key)), "{error}");
        }
    }
}
