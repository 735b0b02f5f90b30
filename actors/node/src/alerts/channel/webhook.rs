//! A POST of JSON, signed.

use super::http::Http;
use super::{Channel, Message, NotTaken};
use crate::NodeError;
use crate::alerts::settings::WebhookSettings;
use apex_domain::UnixNanos;
use apex_domain::time::NANOS_PER_SECOND;
use futures::future::BoxFuture;
use ring::hmac;

pub(super) struct Webhook {
    http: Http,
    key: hmac::Key,
}

impl Webhook {
    pub fn new(settings: &WebhookSettings) -> Result<Webhook, NodeError> {
        if settings.secret.len() < 16 {
            return Err(NodeError::Usage(
                "setting alerts_webhook_secret is missing or shorter than 16 bytes: give a random \
                 one, receivers check signatures by it"
                    .to_owned(),
            ));
        }
        Ok(Webhook {
            http: Http::new("alerts_webhook_url", &settings.url, settings.allow_http)?,
            key: hmac::Key::new(hmac::HMAC_SHA256, settings.secret.as_bytes()),
        })
    }
}

/// Returns the signature of `<seconds>.<body>` in hexadecimal digits.
fn signature(key: &hmac::Key, seconds: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{seconds}.{body}").as_bytes());
    let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

impl Channel for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn send<'a>(
        &'a self,
        message: &'a Message,
        now: UnixNanos,
    ) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            let body = serde_json::to_string(message)
                .map_err(|_| NotTaken::later("the message cannot be written"))?;
            let seconds = now.0 / NANOS_PER_SECOND;
            let signature = format!("v1={}", signature(&self.key, seconds, &body));
            let headers = [
                ("x-apex-id", message.id.clone()),
                ("x-apex-timestamp", seconds.to_string()),
                ("x-apex-signature", signature),
            ];
            self.http.post(body, &headers).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_hmac_sha256_of_time_and_body() {
        // RFC 4231, test case 2.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let tag = hmac::sign(&key, b"what do ya want for nothing?");
        let digits: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            digits,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let whole = hmac::sign(&key, b"12.{}");
        let whole: String = whole.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(signature(&key, 12, "{}"), whole);
    }
}
