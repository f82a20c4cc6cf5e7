//! `reforge export`

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use crate::live;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a campaign that goes on.
    folder: PathBuf,
    /// Where `/metrics` and `/targets` are served.
    #[arg(long, default_value = "127.0.0.1:9109")]
    listen: SocketAddr,
}

/// Serves until it is ended. The first line of standard output is the address.
pub fn main(args: &Args) -> Result<ExitCode> {
    super::is_folder(&args.folder)?;
    let hint = || {
        format!(
            "expected {} to be free: choose another --listen",
            args.listen
        )
    };
    let listener = TcpListener::bind(args.listen).with_context(hint)?;
    listener.set_nonblocking(true)?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/targets", get(targets))
        .with_state(Arc::from(args.folder.as_path()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, routes).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn metrics(State(root): State<Arc<Path>>) -> impl IntoResponse {
    let moment = live::run_of(&root).map(|run| live::look(&run));
    let text = live::text::metrics(&moment.unwrap_or_default());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// The replicas of the run, as Prometheus discovers targets over HTTP.
async fn targets(State(root): State<Arc<Path>>) -> impl IntoResponse {
    let run = live::run_of(&root);
    let replicas = run.map(|run| live::addresses(&run)).unwrap_or_default();
    let target = |(replica, address): &(u32, String)| json!({ "targets": [address], "labels": { "replica": replica.to_string() } });
    let groups: Vec<_> = replicas.iter().map(target).collect();
    (
        [(header::CONTENT_TYPE, "application/json")],
        json!(groups).to_string(),
    )
}
