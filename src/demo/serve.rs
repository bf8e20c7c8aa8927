//! Owns the serving of a small application on a free loopback port, until the program stops.

use std::net::{Ipv4Addr, SocketAddr};

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::tasks::Tasks;

/// Serve `app`; its address.
pub(super) async fn serve(app: Router, tasks: &Tasks) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let stopping = tasks.clone();
    drop(tasks.spawn(async move {
        let closing = async move { stopping.stopping().await };
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(closing).await {
            tracing::error!(%error, "an application of the demonstration failed");
        }
    }));
    Ok(address)
}

/// A page that is made anew each time.
pub(super) fn page(html: String) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

/// A form that was refused, shown again.
pub(super) fn again(html: String) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page(html)).into_response()
}

/// What an application's API answers when it does not do what it was asked.
pub(super) fn api_refused(status: StatusCode, why: &str) -> Response {
    (status, Json(serde_json::json!({ "error": why }))).into_response()
}
