//! Owns the refund desk: a small web application with state, like one a back office would use. It
//! is what the demonstration captures, and knows nothing of evidence.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::ledger::{Ledger, RefundForm, Transaction};
use super::pages;
use super::serve::{again, api_refused, page, serve};
use crate::clock::Clock;
use crate::tasks::Tasks;

/// A refund desk that is running.
#[derive(Debug)]
pub struct Desk {
    address: SocketAddr,
}

#[derive(Clone, Debug)]
struct App {
    ledger: Arc<Mutex<Ledger>>,
    clock: Clock,
}

impl App {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Open a desk on a free loopback port; it closes when `tasks` are told to stop.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(clock: Clock, tasks: &Tasks) -> std::io::Result<Self> {
        let ledger = Ledger::new(&clock.now().to_rfc3339());
        let app = router(App { ledger: Arc::new(Mutex::new(ledger)), clock });
        let address = serve(app, tasks).await?;
        Ok(Self { address })
    }

    /// Its address: `http://127.0.0.1:40001`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn router(app: App) -> Router {
    Router::new()
        .route("/", get(dashboard))
        .route("/transactions/{id}", get(details))
        .route("/transactions/{id}/refund", get(form).post(submit))
        .route("/transactions/{id}/confirmation", get(confirmation))
        .route("/api/transactions/{id}", get(api_details))
        .route("/api/transactions/{id}/refund", post(api_refund))
        .fallback(|| async { missing() })
        .with_state(app)
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, Html(pages::missing())).into_response()
}

async fn dashboard(State(app): State<App>) -> Response {
    page(pages::dashboard(&app.ledger().0))
}

async fn details(State(app): State<App>, Path(id): Path<String>) -> Response {
    app.ledger().find(&id).map_or_else(missing, |found| page(pages::details(found)))
}

/// The form; what a link puts into it is shown, and nothing is done until it is sent.
async fn form(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<RefundForm>,
) -> Response {
    let ledger = app.ledger();
    ledger.find(&id).map_or_else(missing, |found| page(pages::form(found, &asked, None)))
}

async fn submit(
    State(app): State<App>,
    Path(id): Path<String>,
    Form(asked): Form<RefundForm>,
) -> Response {
    let now = app.clock.now().to_rfc3339();
    let mut ledger = app.ledger();
    let Err(refused) = ledger.refund(&id, &asked, &now) else {
        return Redirect::to(&format!("/transactions/{id}/confirmation")).into_response();
    };
    match ledger.find(&id) {
        Some(found) => again(pages::form(found, &asked, Some(&refused))),
        None => missing(),
    }
}

async fn confirmation(State(app): State<App>, Path(id): Path<String>) -> Response {
    app.ledger().find(&id).map_or_else(missing, |found| page(pages::confirmation(found)))
}

async fn api_details(State(app): State<App>, Path(id): Path<String>) -> Response {
    app.ledger().find(&id).map_or_else(
        || api_refused(StatusCode::NOT_FOUND, "There is no such transaction."),
        |found| Json(api_view(found)).into_response(),
    )
}

async fn api_refund(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(asked): Json<RefundForm>,
) -> Response {
    let now = app.clock.now().to_rfc3339();
    match app.ledger().refund(&id, &asked, &now) {
        Ok(transaction) => Json(api_view(transaction)).into_response(),
        Err(refused) => api_refused(StatusCode::UNPROCESSABLE_ENTITY, &refused),
    }
}

fn api_view(transaction: &Transaction) -> serde_json::Value {
    serde_json::json!({
        "id": transaction.id,
        "amount": transaction.amount,
        "refunded": transaction.refunded,
        "status": transaction.status(),
        "history": transaction.history,
        "confirmation_url": format!("/transactions/{}/confirmation", transaction.id),
    })
}
