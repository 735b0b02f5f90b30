//! How alerts are told, and what of the machine is watched.

use std::fmt;
use std::path::PathBuf;

/// Messages a minute of a channel where the settings do not say otherwise: what a person can read.
pub const PER_MINUTE: u32 = 20;

/// Everything that the settings say of alerts. Secrets are not shown.
#[derive(Clone, Default)]
pub struct AlertSettings {
    pub webhook: Option<WebhookSettings>,
    pub email: Option<EmailSettings>,
    pub telegram: Option<TelegramSettings>,
    /// Messages of each channel in any minute; 0 is the usual.
    pub per_minute: u32,
    /// Files of certificates whose end is watched, in PEM.
    pub certificates: Vec<PathBuf>,
    /// Folders whose disks are watched, beside the data folder.
    pub disks: Vec<PathBuf>,
}

/// Where a webhook goes.
#[derive(Clone)]
pub struct WebhookSettings {
    pub url: String,
    /// What its messages are signed with.
    pub secret: String,
    /// Plain http beyond loopback is allowed.
    pub allow_http: bool,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// From the first byte on.
    Tls,
    /// Asked for, and required, before anything is said.
    StartTls,
    /// Not at all: on loopback only.
    None,
}

/// The mail server, and who writes to whom.
#[derive(Clone)]
pub struct EmailSettings {
    pub host: String,
    /// `None` takes the usual one of `tls`.
    pub port: Option<u16>,
    pub tls: MailTls,
    pub user: Option<String>,
    pub password: Option<String>,
    pub from: String,
    pub to: Vec<String>,
}

/// A Telegram bot and the chat that it writes to.
#[derive(Clone)]
pub struct TelegramSettings {
    /// Where the Bot API is.
    pub url: String,
    pub token: String,
    pub chat: String,
    /// Plain http beyond loopback is allowed.
    pub allow_http: bool,
}

impl fmt::Debug for AlertSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertSettings")
            .field("webhook", &self.webhook.is_some())
            .field("email", &self.email.is_some())
            .field("telegram", &self.telegram.is_some())
            .field("per_minute", &self.per_minute)
            .field("certificates", &self.certificates)
            .field("disks", &self.disks)
            .finish()
    }
}

/// Shows that a channel is set, and nothing of how.
macro_rules! hidden {
    ($($settings:ident),*) => {$(
        impl fmt::Debug for $settings {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($settings)).finish_non_exhaustive()
            }
        }
    )*};
}

hidden!(WebhookSettings, EmailSettings, TelegramSettings);
