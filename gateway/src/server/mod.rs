//! One port for everything: gRPC, gRPC-web and REST.

mod connection;
mod flood;
mod guard;
mod message;
mod rest;

use crate::audit::{self, Auditor, Recording};
use crate::auth;
use crate::fanout::Fanout;
use crate::market::{self, Market};
use crate::options::GatewayOptions;
use crate::services::{self, Parts, strategy::StrategyServer, system::SystemServer};
use crate::shared::{Shared, Streams, wall_clock};
use crate::strategy_sessions::KnownStrategies;
use apex_bus::handle::Platform;
use apex_bus::topic::SubscribeError;
use axum::Router;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::Layer;

/// Why a gateway does not start.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// Another process has the port, or the address is not of this machine.
    #[error("cannot listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The node is stopping.
    #[error("account events cannot be followed")]
    Events(#[source] SubscribeError),
    /// The compiled .proto files are damaged: a fault of the build.
    #[error("reflection cannot be built")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// A gateway that serves. Dropping it stops it at once; [`Running::stop`] lets calls end.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    patience: Duration,
    accepting: JoinHandle<()>,
}

impl Running {
    /// Returns the address it listens on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks connections to go away, tells streams to end and where to go on, and returns when all
    /// calls have ended or the time for that is over. Until then a new connection is told that this
    /// gateway is not ready, and nothing else.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(self.patience, &mut self.accepting)
            .await
            .is_err()
        {
            self.accepting.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Binds and begins to serve.
///
/// Errors: [`GatewayError`].
pub async fn serve(options: GatewayOptions, platform: Platform) -> Result<Running, GatewayError> {
    let address = options.listen;
    let bind = |source| GatewayError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let (stop, stopping) = watch::channel(false);
    let events = platform
        .account_events
        .subscribe_async("gateway")
        .map_err(GatewayError::Events)?;
    let shared = Shared {
        streams: Streams::new(options.limits.streams_per_kind),
        sessions: KnownStrategies(options.strategies.clone()),
        fanout: Fanout::begin(events),
        alerts: options.alerts.clone(),
        preferences: options.preferences.clone(),
        market: Market::new(platform.market.clone(), options.limits.clone()),
        auditor: options.audit.clone().map(Auditor::new),
        access: options.access.clone(),
        rate: auth::Rate::new(options.limits.calls_per_second),
        limits: options.limits.clone(),
        stopping: stopping.clone(),
        platform,
    };
    let router = router(&options, shared, address)?;
    let patience = options.limits.shutdown;
    let accepting = connection::accept(listener, router, options.limits, stopping);
    Ok(Running {
        address,
        stop,
        patience,
        accepting: tokio::spawn(accepting),
    })
}

fn router(
    options: &GatewayOptions,
    shared: Shared,
    address: SocketAddr,
) -> Result<Router, GatewayError> {
    let system = SystemServer {
        shared: shared.clone(),
        version: options.version.clone(),
        started: wall_clock(),
        readiness: options.readiness.clone(),
    };
    let strategies = StrategyServer {
        shared: shared.clone(),
        sessions: options.strategies.clone(),
        desk: options.strategy_desk.clone(),
    };
    let rest = rest::router(options, &system);
    let mut routes = services::routes(Parts {
        shared: shared.clone(),
        system,
        strategies,
    });
    routes = routes.add_service(health());
    if options.reflection {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(apex_proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let v1 = builder().build_v1().map_err(GatewayError::Reflection)?;
        let v1alpha = builder()
            .build_v1alpha()
            .map_err(GatewayError::Reflection)?;
        routes = routes.add_service(v1).add_service(v1alpha);
    }
    let gate = auth::Gate {
        access: options.access.clone(),
        proxies: auth::Proxies::new(&options.proxies),
        rate: shared.rate.clone(),
        auditor: shared.auditor.clone(),
    };
    // From the outside in: web translation, time limit, token and rate, size, audit.
    let mut grpc = market::subscribe_route(routes.into_axum_router(), shared.clone())
        .layer(axum::middleware::from_fn(guard::undecodable));
    if let Some(auditor) = shared.auditor.clone() {
        let recording = Recording { auditor, shared };
        grpc = grpc.layer(axum::middleware::from_fn_with_state(
            recording,
            audit::record,
        ));
    }
    let grpc = grpc
        .layer(axum::middleware::from_fn(message::size))
        .layer(axum::middleware::from_fn_with_state(gate, auth::check))
        .layer(axum::middleware::from_fn_with_state(
            options.limits.request,
            guard::time_limit,
        ));
    let grpc = tonic_web::GrpcWebLayer::new().layer(grpc);
    let grpc = Router::new()
        .fallback_service(grpc)
        .layer(axum::middleware::from_fn(guard::not_here));
    let names = guard::Names::new(options, address);
    Ok(rest
        .fallback_service(grpc)
        .layer(axum::middleware::from_fn(guard::not_late))
        .layer(axum::middleware::from_fn_with_state(
            names,
            guard::host_and_origin,
        )))
}

/// The process answers as long as it runs; whether orders can be answered is `/ready`'s word.
fn health()
-> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
    let (_, service) = tonic_health::server::health_reporter();
    service
}
