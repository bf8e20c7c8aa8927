//! Owns the data desk: a small web application that holds batches of payments and checks them, like
//! one a data team would use. Knows nothing of evidence.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use super::pages::{escaped, shell, tile};
use super::serve::{page, serve};
use crate::clock::Clock;
use crate::tasks::Tasks;

/// A payment in a batch: id, account and cents.
type Row = (&'static str, &'static str, i64);

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    passed: bool,
    found: String,
}

/// A batch, with what its checks found, once they were run.
#[derive(Clone, Debug, Serialize)]
struct Batch {
    id: &'static str,
    rows: Vec<Row>,
    /// The sum that came with it, in cents.
    control_total: i64,
    checked_at: Option<String>,
    checks: Vec<Check>,
}

impl Batch {
    fn status(&self) -> &'static str {
        match (&self.checked_at, self.checks.iter().all(|check| check.passed)) {
            (None, _) => "not checked",
            (Some(_), true) => "passed",
            (Some(_), false) => "failed",
        }
    }

    /// Run every check anew.
    fn check(&mut self, now: &str) {
        let sum: i64 = self.rows.iter().map(|(.., cents)| cents).sum();
        let ids: HashSet<_> = self.rows.iter().map(|(id, ..)| id).collect();
        let no_account = self.rows.iter().filter(|(_, account, _)| account.is_empty()).count();
        let not_positive = self.rows.iter().filter(|(.., cents)| *cents <= 0).count();
        let check = |name, passed, found| Check { name, passed, found };
        self.checks = vec![
            check("rows", !self.rows.is_empty(), format!("{} rows", self.rows.len())),
            check(
                "ids are unique",
                ids.len() == self.rows.len(),
                format!("{} of {} different", ids.len(), self.rows.len()),
            ),
            check("accounts are given", no_account == 0, format!("{no_account} without")),
            check("amounts are positive", not_positive == 0, format!("{not_positive} are not")),
            check(
                "control total",
                sum == self.control_total,
                format!("{sum} of {} cents", self.control_total),
            ),
        ];
        self.checked_at = Some(now.to_owned());
    }
}

fn batches() -> Vec<Batch> {
    let batch = |id, rows, control_total| Batch {
        id,
        rows,
        control_total,
        checked_at: None,
        checks: Vec::new(),
    };
    let good = vec![("P-1", "DE02", 4_850), ("P-2", "FR14", 129_900), ("P-3", "<NL91>", 7_525)];
    let bad = vec![("P-7", "DE02", 100), ("P-7", "", -5)];
    vec![batch("2026-11", good, 142_275), batch("2026-10", bad, 1_000)]
}

#[derive(Clone, Debug)]
struct App {
    batches: Arc<Mutex<Vec<Batch>>>,
    clock: Clock,
}

impl App {
    fn batches(&self) -> MutexGuard<'_, Vec<Batch>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `show` makes of the batch called `id`.
    fn of(&self, id: &str, show: impl FnOnce(&mut Batch) -> Response) -> Response {
        self.batches().iter_mut().find(|batch| batch.id == id).map_or_else(missing, show)
    }
}

/// Open the desk; its address.
pub(super) async fn start(clock: Clock, tasks: &Tasks) -> std::io::Result<String> {
    let app = App { batches: Arc::new(Mutex::new(batches())), clock };
    let router = Router::new()
        .route("/", get(list))
        .route("/batches/{id}", get(details))
        .route("/batches/{id}/check", post(check))
        .route("/api/batches/{id}", get(api_details))
        .route("/api/batches/{id}/check", post(api_check))
        .fallback(|| async { missing() })
        .with_state(app);
    Ok(format!("http://{}", serve(router, tasks).await?))
}

fn missing() -> Response {
    let html = shell("Data desk", "Not found", "<h1>Not found</h1><p>There is no such batch.</p>");
    (StatusCode::NOT_FOUND, Html(html)).into_response()
}

fn chip(batch: &Batch) -> String {
    let class = match batch.status() {
        "passed" => " refunded",
        "failed" => " partly-refunded",
        _ => "",
    };
    format!("<span class=\"chip{class}\">{}</span>", batch.status())
}

async fn list(State(app): State<App>) -> Response {
    let row = |batch: &Batch| {
        let (id, rows) = (batch.id, batch.rows.len());
        format!("<tr><td><a href=\"/batches/{id}\">{id}</a><td>{rows}<td>{}</tr>", chip(batch))
    };
    let rows: String = app.batches().iter().map(row).collect();
    let main = format!(
        "<h1>Batches</h1><div class=\"card\"><table><thead><tr><th>Batch<th>Rows<th>Status</tr>\
         </thead><tbody>{rows}</tbody></table></div>"
    );
    page(shell("Data desk", "Batches", &main))
}

async fn details(State(app): State<App>, Path(id): Path<String>) -> Response {
    app.of(&id, |batch| page(details_page(batch)))
}

fn details_page(batch: &Batch) -> String {
    let payment = |(id, account, cents): &Row| {
        format!(
            "<tr><td>{id}<td>{}<td class=\"money\">{}.{:02} €</tr>",
            escaped(account),
            cents / 100,
            cents.abs() % 100
        )
    };
    let rows: String = batch.rows.iter().map(payment).collect();
    let check = |check: &Check| {
        let mark = if check.passed { "passed" } else { "failed" };
        format!(
            "<li class=\"check\">{}: <strong>{mark}</strong> ({})</li>",
            check.name, check.found
        )
    };
    let checks: String = batch.checks.iter().map(check).collect();
    let id = batch.id;
    // To the second, and as people write it.
    let checked = batch.checked_at.as_ref().map_or_else(
        || "never".to_owned(),
        |at| at.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect(),
    );
    let main = format!(
        "<h1>Batch {id} {chip}</h1><div class=\"tiles\">{rows_tile}{total}{checked}</div>\
         <div class=\"card\"><h2>Checks</h2><ul>{checks}</ul><form method=\"post\" \
         action=\"/batches/{id}/check\"><p><button class=\"button\">Run the checks</button></p></form>\
         </div>\
         <div class=\"card\"><h2>Payments</h2><table><tbody>{rows}</tbody></table></div>",
        chip = chip(batch),
        rows_tile = tile("Rows", &batch.rows.len().to_string()),
        total = tile("Control total", &format!("{} cents", batch.control_total)),
        checked = tile("Checked", &checked),
    );
    shell("Data desk", id, &main)
}

async fn check(State(app): State<App>, Path(id): Path<String>) -> Response {
    let now = app.clock.now().to_rfc3339();
    app.of(&id, |batch| {
        batch.check(&now);
        Redirect::to(&format!("/batches/{}", batch.id)).into_response()
    })
}

async fn api_details(State(app): State<App>, Path(id): Path<String>) -> Response {
    app.of(&id, |batch| Json(&*batch).into_response())
}

async fn api_check(State(app): State<App>, Path(id): Path<String>) -> Response {
    let now = app.clock.now().to_rfc3339();
    app.of(&id, |batch| {
        batch.check(&now);
        Json(&*batch).into_response()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_passes_only_when_every_check_does() {
        let mut all = batches();
        assert_eq!(all[0].status(), "not checked");
        for batch in &mut all {
            batch.check("now");
        }
        assert_eq!((all[0].status(), all[1].status()), ("passed", "failed"));
        let failed = all[1].checks.iter().filter(|check| !check.passed).map(|check| check.name);
        let expected =
            ["ids are unique", "accounts are given", "amounts are positive", "control total"];
        assert_eq!(failed.collect::<Vec<_>>(), expected);
        assert!(details_page(&all[0]).contains("&lt;NL91&gt;"));
    }
}
