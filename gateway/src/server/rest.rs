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

#[derive(Clone)]
struct Rest {
    platform: Platform,
    version: String,
    readiness: Vec<Arc<dyn Readiness>>,
    metrics: Option<MetricsText>,
}

pub(super) fn router(options: &GatewayOptions, system: &SystemServer) -> Router {
    let rest = Rest {
        platform: system.shared.platform.clone(),
        version: options.version.clone(),
        readiness: options.readiness.clone(),
        metrics: options.metrics.clone(),
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
