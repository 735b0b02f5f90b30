//! The little REST there is: liveness, readiness, metrics.

use crate::options::{GatewayOptions, MetricsText};
use crate::readiness::{self, Readiness};
use crate::services::system::SystemServer;
use apex_bus::handle::Platform;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Clone)]
struct Rest {
    platform: Platform,
    version: String,
    readiness: Vec<Arc<dyn Readiness>>,
    metrics: Option<MetricsText>,
    stopping: watch::Receiver<bool>,
}

pub(super) fn router(options: &GatewayOptions, system: &SystemServer) -> Router {
    let rest = Rest {
        platform: system.shared.platform.clone(),
        version: options.version.clone(),
        readiness: options.readiness.clone(),
        metrics: options.metrics.clone(),
        stopping: system.shared.stopping.clone(),
    };
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(rest)
}

async fn health(State(rest): State<Rest>) -> Response {
    Json(json!({ "status": "ok", "version": rest.version })).into_response()
}

async fn ready(State(rest): State<Rest>) -> Response {
    if *rest.stopping.borrow() {
        let failing = [json!({ "name": "gateway", "ok": false, "detail": "is shutting down" })];
        let body = json!({ "status": "draining", "failing": failing });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    let dependencies = readiness::dependencies(&rest.platform, &rest.readiness).await;
    let missing: Vec<_> = dependencies
        .iter()
        .filter(|dependency| !dependency.ok)
        .collect();
    if missing.is_empty() {
        let body = json!({ "status": "ready", "dependencies": dependencies });
        return Json(body).into_response();
    }
    let body = json!({ "status": "not ready", "failing": missing });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

async fn metrics(State(rest): State<Rest>) -> Response {
    match &rest.metrics {
        Some(metrics) => (
            [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            metrics(),
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
