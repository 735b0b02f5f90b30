//! What a gateway is started with.

use crate::auth::Access;
use crate::readiness::Readiness;
use crate::strategy_sessions::StrategySessions;
use apex_bus::alerts::AlertDesk;
use apex_bus::audit::Audit;
use apex_bus::preferences::Preferences;
use apex_bus::strategies::StrategyDesk;
use ipnet::IpNet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of the edge. Stock HTTP/2 has none: one unauthenticated connection could hold tens of
/// thousands of streams open, and a silent socket would never be closed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time. Each costs some tens of kilobytes. Full: further ones are closed
    /// at once.
    pub connections: usize,
    /// Connections at a time from one address. A browser holds six, a client library one; the
    /// rest is room for many processes behind one address.
    pub connections_per_address: usize,
    /// Calls of one address that wait for their answer at a time, over all of its connections. Each
    /// costs some kilobytes, also one that never sends its message. Full: `RESOURCE_EXHAUSTED`.
    pub calls_per_address: usize,
    /// Open streams of one connection. A client that wants more waits for one to end.
    pub streams_per_connection: u32,
    /// Time from connecting to the first request; a silent socket is closed after it.
    pub first_request: Duration,
    /// Time after which a connection is asked to go away, so that load spreads and permissions
    /// are looked at anew. Streams under way may end first.
    pub connection_age: Duration,
    /// Time for the answer to a call that is no stream. Above the 10 s that an account has for
    /// its answer, so that its own word arrives.
    pub request: Duration,
    /// What one call may take to read the past (`as_of_ns`), the wait for a turn included. Below
    /// `request`, so that its own word arrives, and below the 10 s in which a process that is told
    /// to stop ends, since it waits for the thread that folds.
    pub past: Duration,
    /// Calls a second of one user, with a burst of one second's worth. Above what one account
    /// takes (5,000 orders/s by default), below what would starve other users.
    pub calls_per_second: u32,
    /// Bytes of one message of a client, whatever the method. The policy of a method says less
    /// (`message_bytes`), and how often it may be called (`calls_per_second`).
    pub message_bytes: usize,
    /// Bytes of the header of one request.
    pub header_bytes: u32,
    /// A connection that was silent for this long is pinged, and closed when nothing comes back
    /// within `keepalive_timeout`.
    pub keepalive_interval: Duration,
    pub keepalive_timeout: Duration,
    /// Commands that an order session may have unanswered. At the 10,000 a second of a fast client a
    /// group commit and its way there and back take some hundred. Full: the stream is not read.
    pub session_window: u32,
    /// Server streams at a time, per kind (orders, market data, accounts, alerts; fewer of strategies and
    /// order sessions). An idle one costs some kilobytes. Full: `RESOURCE_EXHAUSTED`.
    pub streams_per_kind: usize,
    /// How long a stream waits for a client that does not read before it is cut.
    pub stalled_client: Duration,
    /// Silence after which a stream says that it is alive.
    pub heartbeat: Duration,
    /// Time in which market data is collected into one batch, where the client asks for no longer one.
    /// Short enough for a person and for most strategies; below it messages get so small that their
    /// own cost counts, and HTTP/2 libraries take many small ones for an attack.
    pub coalesce: Duration,
    /// Time that calls under way get when the gateway stops.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1_024,
            connections_per_address: 128,
            calls_per_address: 512,
            streams_per_connection: 100,
            first_request: Duration::from_secs(10),
            connection_age: Duration::from_secs(24 * 3_600),
            request: Duration::from_secs(15),
            past: Duration::from_secs(8),
            calls_per_second: 50_000,
            message_bytes: 256 * 1_024,
            header_bytes: 16 * 1_024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            session_window: 1_024,
            streams_per_kind: 2_048,
            stalled_client: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            coalesce: Duration::from_millis(1),
            shutdown: Duration::from_secs(5),
        }
    }
}

/// Writes the metrics of the process in the text format of Prometheus.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What a gateway is started with. Begin with [`GatewayOptions::new`].
#[derive(Clone)]
pub struct GatewayOptions {
    /// Port 0 takes a free one; [`crate::Running::address`] tells which.
    pub listen: SocketAddr,
    /// Who may call.
    pub access: Access,
    /// Proxies in front of this gateway, whose word about a client's address is taken.
    pub proxies: Vec<IpNet>,
    /// Of this build, for `GetSystemStatus` and `/health`.
    pub version: String,
    /// Names under which this gateway is reached, besides loopback's. Empty beyond loopback takes
    /// any: there nginx in front decides.
    pub hosts: Vec<String>,
    /// Origins of browsers that may call, besides the gateway's own; `https://trade.example`.
    pub origins: Vec<String>,
    /// Reflection is off behind nginx.
    pub reflection: bool,
    /// What the node needs beyond what the gateway sees by itself.
    pub readiness: Vec<Arc<dyn Readiness>>,
    /// `/metrics` is not there without it.
    pub metrics: Option<MetricsText>,
    /// Takes the sessions of `StrategyService.Connect`; without it the method is unimplemented.
    pub strategies: Option<Arc<dyn StrategySessions>>,
    /// The strategies that were deployed; without it a run has none.
    pub strategy_desk: Option<Arc<dyn StrategyDesk>>,
    /// Where what is changed is recorded; a replay keeps no audit.
    pub audit: Option<Arc<dyn Audit>>,
    /// What raises alerts; a replay raises none.
    pub alerts: Option<Arc<dyn AlertDesk>>,
    /// What users' programs keep; a replay keeps none.
    pub preferences: Option<Arc<dyn Preferences>>,
    pub limits: Limits,
}

impl GatewayOptions {
    pub fn new(listen: SocketAddr, access: Access) -> GatewayOptions {
        GatewayOptions {
            listen,
            access,
            proxies: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hosts: Vec::new(),
            origins: Vec::new(),
            reflection: true,
            readiness: Vec::new(),
            metrics: None,
            strategies: None,
            strategy_desk: None,
            audit: None,
            alerts: None,
            preferences: None,
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for GatewayOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayOptions")
            .field("listen", &self.listen)
            .field("hosts", &self.hosts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
