use super::super::settings::{EmailSettings, MailTls, TelegramSettings, WebhookSettings};
use super::*;

fn email() -> EmailSettings {
    EmailSettings {
        host: "127.0.0.1".into(),
        port: Some(25),
        tls: MailTls::None,
        user: None,
        password: None,
        from: "apex@example.com".into(),
        to: vec!["desk@example.com".into()],
    }
}

fn refusal(settings: AlertSettings) -> String {
    match channels(&settings) {
        Err(error) => error.to_string(),
        Ok(channels) => panic!("{:?}", channels.keys()),
    }
}

#[test]
fn settings_that_cannot_work_stop_the_start_and_show_no_secret() {
    let webhook = |url: &str, secret: &str| AlertSettings {
        webhook: Some(WebhookSettings {
            url: url.into(),
            secret: secret.into(),
            allow_http: false,
        }),
        ..AlertSettings::default()
    };
    let mail = |change: fn(&mut EmailSettings)| {
        let mut email = email();
        change(&mut email);
        AlertSettings {
            email: Some(email),
            ..AlertSettings::default()
        }
    };
    let telegram = AlertSettings {
        telegram: Some(TelegramSettings {
            url: "http://example.com".into(),
            token: "hush-hush".into(),
            chat: "1".into(),
            allow_http: false,
        }),
        ..AlertSettings::default()
    };
    for (settings, named) in [
        (
            webhook("http://127.0.0.1:1", "short"),
            "alerts_webhook_secret",
        ),
        (
            webhook("http://example.com/hush-hush", "0123456789abcdef"),
            "alerts_webhook_url",
        ),
        (
            mail(|it| it.host = "mail.example.com".into()),
            "alerts_email_tls",
        ),
        (mail(|it| it.to.clear()), "alerts_email_to"),
        (mail(|it| it.from = "nobody".into()), "alerts_email_from"),
        (mail(|it| it.user = Some("a".into())), "alerts_email_user"),
        (telegram, "alerts_telegram_url"),
    ] {
        assert!(!format!("{settings:?}").contains("hush"), "{settings:?}");
        let refused = refusal(settings);
        assert!(
            refused.contains(named) && !refused.contains("hush"),
            "{refused}"
        );
    }
    let good = channels(&mail(|_| {})).ok().unwrap();
    assert_eq!(good.keys().collect::<Vec<_>>(), ["email"]);
}

#[test]
fn a_message_has_the_same_id_each_time_it_is_sent() {
    let message = Message::test(UnixNanos(5), "ann");
    assert_eq!(message.id, "test.5");
    assert_eq!(
        message.headline(),
        "[TEST] a test of this channel, asked for by ann"
    );
    let summary = Message::summary("ab", UnixNanos(7), 3);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["type"], "alert.held_back");
    assert_eq!(
        (json["held_back"].as_u64(), json["id"].as_str()),
        (Some(3), Some("ab.held-back.7"))
    );
}
