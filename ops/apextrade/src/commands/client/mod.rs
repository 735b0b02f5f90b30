//! Commands that speak to a running gateway, over the same gRPC API as every other client.

mod account_desk;
pub mod alerts;
pub mod audit;
pub mod bars;
pub mod book;
pub mod close;
pub mod lists;
pub mod orders;
pub mod risk;
pub mod strategies;
pub mod tokens;
pub mod users;

mod executions;
pub(super) mod fields;
mod limits;
mod order_list;
mod order_request;
mod order_table;
mod outcome;
mod platform_limits;
mod reconcile;
mod refusal;
mod split;
mod strategy_fields;
mod strategy_tables;
mod strategy_watch;
mod watch;

use crate::cli::{ClientArgs, RequestArgs};
use crate::config::Settings;
use anyhow::{Context, Result, anyhow, bail};
use apex_proto::v1::account_service_client::AccountServiceClient;
use apex_proto::v1::audit_service_client::AuditServiceClient;
use apex_proto::v1::auth_service_client::AuthServiceClient;
use apex_proto::v1::instrument_service_client::InstrumentServiceClient;
use apex_proto::v1::market_data_service_client::MarketDataServiceClient;
use apex_proto::v1::order_service_client::OrderServiceClient;
use apex_proto::v1::risk_service_client::RiskServiceClient;
use apex_proto::v1::strategy_service_client::StrategyServiceClient;
use apex_proto::v1::system_service_client::SystemServiceClient;
use serde_json::Value;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// A gateway on a machine that is up answers a connection within a round trip.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A call waits for one write to disk at most; a disk that takes longer than this is broken.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// The largest page that a list serves.
const PAGE: u32 = 1_000;

type Link = InterceptedService<Channel, Bearer>;

/// Puts the token on every call.
#[derive(Clone, Debug)]
struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A connection to the gateway with the caller's token.
#[derive(Clone, Debug)]
struct Gateway {
    url: String,
    token_file: PathBuf,
    channel: Channel,
    bearer: Bearer,
}

impl Gateway {
    /// Connects.
    ///
    /// Errors: no token, an address that is none, and a gateway that does not answer.
    async fn open(args: &ClientArgs, settings: &Settings) -> Result<Gateway> {
        let token_file = token_file(args, settings);
        let bearer = bearer(&token_file)?;
        let url = args.gateway.as_ref().unwrap_or(&settings.gateway).clone();
        if !url.starts_with("http://") {
            bail!("gateway \"{url}\" is no http:// address: pass one like http://127.0.0.1:8000");
        }
        let endpoint = Endpoint::from_shared(url.clone())
            .with_context(|| format!("gateway \"{url}\" is no address"))?
            .connect_timeout(CONNECT_LIMIT)
            .timeout(CALL_LIMIT)
            .initial_stream_window_size(apex_proto::CLIENT_WINDOW)
            .initial_connection_window_size(apex_proto::CLIENT_WINDOW)
            // A link that died without a word is found within 30 s, also while a stream is silent.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        let connecting = tokio::time::timeout(CONNECT_LIMIT, endpoint.connect()).await;
        let channel = connecting
            .map_err(anyhow::Error::from)
            .and_then(|made| Ok(made?));
        let channel = channel.map_err(|_| {
            anyhow!("gateway {url} cannot be reached: start `apextrade up` or pass --gateway")
        })?;
        Ok(Gateway {
            url,
            token_file,
            channel,
            bearer,
        })
    }

    fn orders(&self) -> OrderServiceClient<Link> {
        OrderServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    fn accounts(&self) -> AccountServiceClient<Link> {
        AccountServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    fn instruments(&self) -> InstrumentServiceClient<Link> {
        InstrumentServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    fn market_data(&self) -> MarketDataServiceClient<Link> {
        MarketDataServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    fn audit(&self) -> AuditServiceClient<Link> {
        AuditServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    fn strategies(&self) -> StrategyServiceClient<Link> {
        StrategyServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    fn auth(&self) -> AuthServiceClient<Link> {
        AuthServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    fn system(&self) -> SystemServiceClient<Link> {
        SystemServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    fn risk(&self) -> RiskServiceClient<Link> {
        RiskServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    /// Waits for an answer, no longer than [`CALL_LIMIT`].
    ///
    /// Errors: the refusal, in words.
    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        match tokio::time::timeout(CALL_LIMIT, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.refusal(&status)),
            Err(_) => Err(anyhow!(
                "gateway {} did not answer in {CALL_LIMIT:?}",
                self.url
            )),
        }
    }

    fn refusal(&self, status: &Status) -> anyhow::Error {
        anyhow!(refusal::line(status, &self.url, &self.token_file))
    }
}

fn token_file(args: &ClientArgs, settings: &Settings) -> PathBuf {
    let data_dir = || args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    args.token_file
        .clone()
        .unwrap_or_else(|| data_dir().join("admin.token"))
}

fn bearer(path: &Path) -> Result<Bearer> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            anyhow!("no token at {shown}: start `apextrade up` first or pass --token-file")
        }
        _ => anyhow!("cannot read the token at {shown}: {error}; pass --token-file"),
    })?;
    let token = text.trim();
    if token.is_empty() {
        bail!("the token at {shown} is empty: pass --token-file");
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| anyhow!("the file at {shown} holds no token: pass --token-file"))?;
    value.set_sensitive(true);
    Ok(Bearer(value))
}

/// Reads pages until `limit` things are there or there are no more. Returns the things and
/// whether there would have been more.
async fn pages<T, F>(limit: u32, mut page: impl FnMut(i32, String) -> F) -> Result<(Vec<T>, bool)>
where
    F: Future<Output = Result<(Vec<T>, String)>>,
{
    let limit = limit as usize;
    let mut found = Vec::new();
    let mut token = String::new();
    while found.len() < limit {
        let wanted = (limit - found.len()).min(PAGE as usize);
        // At most 1,000, so it fits.
        let (things, next) = page(wanted as i32, token).await?;
        found.extend(things);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    let more = !token.is_empty() || found.len() > limit;
    found.truncate(limit);
    Ok((found, more))
}

/// Says on standard error that a list was cut.
fn say_cut(more: bool, limit: u32) {
    if more {
        crate::tell!("only the first {limit} are listed: pass a larger --limit for more");
    }
}

fn print_json(value: &Value) {
    crate::say!("{value}");
}

/// Returns the caller's id of a change, or a new one.
///
/// Errors: as [`new_id`].
fn request_id(args: RequestArgs) -> Result<String> {
    args.request_id.map_or_else(new_id, Ok)
}

/// Returns a new id of ours: 36 characters, of which 32 are random hexadecimal digits.
///
/// Errors: a system without randomness.
fn new_id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness for an id: {error}"))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("cli-{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("apex-client-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_missing_token_says_what_to_do() {
        let path = folder("missing").join("admin.token");
        let error = bearer(&path).unwrap_err().to_string();
        assert!(error.starts_with("no token at "), "{error}");
        assert!(
            error.ends_with("start `apextrade up` first or pass --token-file"),
            "{error}"
        );
    }

    #[test]
    fn a_token_is_read_without_its_line_end_and_never_shown() {
        let path = folder("good").join("admin.token");
        std::fs::write(&path, "apx_secret\n").unwrap();
        let found = bearer(&path).unwrap();
        assert_eq!(found.0.to_str().unwrap(), "Bearer apx_secret");
        assert!(!format!("{found:?}").contains("secret"), "{found:?}");
        std::fs::write(&path, " \n").unwrap();
        assert!(bearer(&path).unwrap_err().to_string().contains("is empty"));
    }

    #[test]
    fn an_id_fits_a_client_order_id_and_is_new() {
        let (one, two) = (new_id().unwrap(), new_id().unwrap());
        assert_eq!(one.len(), 36);
        assert_ne!(one, two);
        assert!(
            one.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
    }

    #[tokio::test]
    async fn pages_are_followed_up_to_the_limit() {
        async fn list(limit: u32) -> (Vec<usize>, bool, Vec<i32>) {
            let mut asked = Vec::new();
            let read = pages(limit, |wanted, token| {
                asked.push(wanted);
                let start: usize = token.parse().unwrap_or(0);
                let end = (start + wanted as usize).min(2_500);
                let next = if end < 2_500 {
                    end.to_string()
                } else {
                    String::new()
                };
                async move { Ok(((start..end).collect(), next)) }
            });
            let (found, more) = read.await.unwrap();
            (found, more, asked)
        }
        let (found, more, asked) = list(1_200).await;
        assert_eq!((found.len(), more, asked), (1_200, true, vec![1_000, 200]));
        let (found, more, _) = list(10_000).await;
        assert_eq!((found, more), ((0..2_500).collect(), false));
        assert!(!list(2_500).await.1);
    }
}
