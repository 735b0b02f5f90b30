//! The Bot API of Telegram: `sendMessage`.

use super::http::Http;
use super::{Channel, Message, NotTaken};
use crate::NodeError;
use crate::alerts::settings::TelegramSettings;
use apex_domain::UnixNanos;
use futures::future::BoxFuture;
use serde_json::json;

/// What the Bot API takes, in characters (sendMessage, `text`: 1 to 4,096).
const LONGEST: usize = 4_000;

pub(super) struct Telegram {
    http: Http,
    chat: String,
}

impl Telegram {
    pub fn new(settings: &TelegramSettings) -> Result<Telegram, NodeError> {
        if settings.token.is_empty() || settings.chat.is_empty() {
            return Err(NodeError::Usage(
                "settings alerts_telegram_token and alerts_telegram_chat go together: set both"
                    .to_owned(),
            ));
        }
        let base = settings.url.trim_end_matches('/');
        let url = format!("{base}/bot{}/sendMessage", settings.token);
        Ok(Telegram {
            http: Http::new("alerts_telegram_url", &url, settings.allow_http)?,
            chat: settings.chat.clone(),
        })
    }
}

impl Channel for Telegram {
    fn kind(&self) -> &'static str {
        "telegram"
    }

    fn send<'a>(
        &'a self,
        message: &'a Message,
        _now: UnixNanos,
    ) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            let text = format!("{}\n{}", message.headline(), message.id);
            let text: String = text.chars().take(LONGEST).collect();
            // Without `parse_mode` nothing of it is taken for markup.
            let body = json!({ "chat_id": self.chat, "text": text });
            self.http.post(body.to_string(), &[]).await
        })
    }
}
