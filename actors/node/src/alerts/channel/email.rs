//! E-mail by SMTP.

use super::{Channel, Message, NotTaken, TIMEOUT};
use crate::NodeError;
use crate::alerts::settings::{EmailSettings, MailTls};
use apex_domain::UnixNanos;
use futures::future::BoxFuture;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::net::IpAddr;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub(super) struct Email {
    transport: Transport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

fn bad(setting: &str, why: &str) -> NodeError {
    NodeError::Usage(format!("setting alerts_email_{setting} {why}"))
}

fn mailbox(setting: &str, text: &str) -> Result<Mailbox, NodeError> {
    let read = text.trim().parse();
    read.map_err(|_| bad(setting, "is no address: give one like desk@example.com"))
}

impl Email {
    pub fn new(settings: &EmailSettings) -> Result<Email, NodeError> {
        let host = settings.host.as_str();
        let is_loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let unusable = |_| bad("host", "cannot be used for TLS: give the server's name");
        let builder = match settings.tls {
            MailTls::Tls => Transport::relay(host).map_err(unusable)?,
            MailTls::StartTls => Transport::starttls_relay(host).map_err(unusable)?,
            MailTls::None if is_loopback => Transport::builder_dangerous(host),
            MailTls::None => {
                return Err(bad(
                    "tls",
                    "is none for a server beyond loopback, where anybody on the way reads it: set \
                     starttls or tls",
                ));
            }
        };
        let builder = match settings.port {
            Some(port) => builder.port(port),
            None => builder,
        };
        let builder = match (&settings.user, &settings.password) {
            (Some(user), Some(password)) => {
                builder.credentials(Credentials::new(user.clone(), password.clone()))
            }
            (None, None) => builder,
            _ => {
                return Err(bad(
                    "user",
                    "and alerts_email_password go together: set both",
                ));
            }
        };
        let to = settings.to.iter().map(|to| mailbox("to", to));
        let to: Vec<Mailbox> = to.collect::<Result<_, _>>()?;
        if to.is_empty() {
            return Err(bad("to", "is missing: name who is written to"));
        }
        Ok(Email {
            transport: builder.timeout(Some(TIMEOUT)).build(),
            from: mailbox("from", &settings.from)?,
            to,
        })
    }

    fn letter(&self, message: &Message) -> Result<lettre::Message, NotTaken> {
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            // The same for what is sent again, so that mail programs can tell.
            .message_id(Some(format!("<{}@apextrade>", message.id)))
            .subject(message.headline())
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let Message {
            text,
            id,
            rule_id,
            subject,
            value,
            ..
        } = message;
        let body =
            format!("{text}\n\nrule: {rule_id}\nsubject: {subject}\nvalue: {value}\nid: {id}\n");
        let letter = builder.body(body);
        letter.map_err(|_| NotTaken::later("the message cannot be written"))
    }
}

impl Channel for Email {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn send<'a>(
        &'a self,
        message: &'a Message,
        _now: UnixNanos,
    ) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            let letter = self.letter(message)?;
            match self.transport.send(letter).await {
                Ok(_) => Ok(()),
                Err(error) => Err(refused(&error)),
            }
        })
    }
}

/// What the server said is not repeated: it may quote what it was told.
fn refused(error: &lettre::transport::smtp::Error) -> NotTaken {
    let why = match error.status() {
        Some(code) => format!("its server answered {code}"),
        None if error.is_timeout() => "its server did not answer in 10 s".to_owned(),
        None => "its server cannot be reached, or ended the connection".to_owned(),
    };
    NotTaken::later(why)
}
