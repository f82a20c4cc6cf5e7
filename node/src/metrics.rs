//! `/metrics` and `/healthz`, read-only, on a thread of their own: a scrape never delays the replica.

mod http;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use measure::metrics::{ALL, Metric};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;
use serde_json::json;
use transport::DownReason;

use crate::NodeError;
use crate::snapshot::{Board, Snapshot};

/// Binds `addr` and serves it until the process ends. Returns the address really bound.
///
/// # Errors
/// [`NodeError::Listen`], or [`NodeError::Thread`] if the thread cannot be started.
pub fn serve(addr: SocketAddr, board: Board) -> Result<SocketAddr, NodeError> {
    let failed = |source| NodeError::Listen {
        what: "metrics",
        addr: addr.to_string(),
        source,
    };
    let listener = std::net::TcpListener::bind(addr).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    std::thread::Builder::new()
        .name("metrics".into())
        .spawn(move || runtime.block_on(http::serve(listener, routes(board))))
        .map_err(|error| NodeError::Thread {
            name: "metrics",
            why: format!("could not be started ({error})"),
        })?;
    Ok(bound)
}

fn routes(board: Board) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .with_state(board)
}

async fn metrics(State(board): State<Board>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match render(&board.read()) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthz(State(board): State<Board>) -> impl IntoResponse {
    let snapshot = board.read();
    let status = match snapshot.is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, health(&snapshot).to_string() + "\n")
}

fn health(snapshot: &Snapshot) -> serde_json::Value {
    json!({
        "ready": snapshot.is_ready(),
        "replica": snapshot.replica,
        "mode": snapshot.mode,
        "height": snapshot.height,
        "view": snapshot.view,
        "peers_up": snapshot.up_count(),
        "peers_needed": snapshot.peers_needed,
        "refused": snapshot.peers_refused,
        "refused_connections": refusals(snapshot),
        "catching_up": snapshot.catching_up,
        "stopping": snapshot.stopping,
        "backend": snapshot.backend,
    })
}

/// Connections that ended for a reason which somebody has to cure, also those of nobody known.
fn refusals(snapshot: &Snapshot) -> BTreeMap<&'static str, u64> {
    let counts = snapshot.labelled.get(measure::metrics::REFUSED);
    DownReason::ALL
        .iter()
        .filter(|reason| reason.is_refusal())
        .filter_map(|reason| Some((reason.name(), *counts?.get(reason.name())?)))
        .collect()
}

/// The snapshot in the OpenMetrics text format.
fn render(snapshot: &Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shown(snapshot.clone())));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Shown(Snapshot);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for metric in ALL {
            if let Some(value) = self.0.figures.get(metric.name) {
                show(&mut encoder, metric, *value)?;
            } else if let Some(values) = self.0.labelled.get(metric.name) {
                show_labelled(&mut encoder, metric, values)?;
            }
        }
        Ok(())
    }
}

fn show(encoder: &mut DescriptorEncoder, metric: &Metric, value: f64) -> fmt::Result {
    let target = encoder.encode_descriptor(short(metric), help(metric), None, kind(metric))?;
    match kind(metric) {
        MetricType::Counter => ConstCounter::new(value).encode(target),
        _ => ConstGauge::new(value).encode(target),
    }
}

fn show_labelled(
    encoder: &mut DescriptorEncoder,
    metric: &Metric,
    values: &BTreeMap<String, u64>,
) -> fmt::Result {
    let label = match metric.name {
        measure::metrics::QUEUE_DEPTH => "queue",
        _ => "reason",
    };
    let mut family = encoder.encode_descriptor(short(metric), help(metric), None, kind(metric))?;
    for (name, value) in values {
        let labels = [(label, name.as_str())];
        let target = family.encode_family(&labels)?;
        match kind(metric) {
            MetricType::Counter => ConstCounter::new(*value).encode(target)?,
            _ => ConstGauge::new(*value as f64).encode(target)?,
        }
    }
    Ok(())
}

/// The encoder adds `_total` to counters itself.
fn short(metric: &Metric) -> &'static str {
    metric.name.strip_suffix("_total").unwrap_or(metric.name)
}

/// The encoder adds the full stop itself.
fn help(metric: &Metric) -> &'static str {
    metric.help.strip_suffix('.').unwrap_or(metric.help)
}

fn kind(metric: &Metric) -> MetricType {
    match metric.kind {
        "counter" => ConstCounter::<u64>::TYPE,
        _ => ConstGauge::<f64>::TYPE,
    }
}

#[cfg(test)]
mod tests;
