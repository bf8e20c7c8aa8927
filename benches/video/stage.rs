//! The pages that are recorded, and the server they come from: each waits until all are ready, runs
//! for the same time, and tells how often it painted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

/// The pages, by name.
pub(crate) const PAGES: [&str; 2] = ["form", "moving"];

/// Longest wait for a page beyond the time it runs: four encoders may hold two cores for long.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a page told when it had run.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Ran {
    id: u32,
    /// Frames it painted.
    pub(crate) painted: u32,
    /// Number of the last one.
    pub(crate) last: u32,
}

#[derive(Default)]
struct Doings {
    waiting: BTreeSet<u32>,
    told: BTreeSet<u32>,
    done: BTreeMap<u32, Ran>,
}

#[derive(Clone)]
struct Shared {
    doings: watch::Sender<Doings>,
    run_for: Duration,
}

/// The server, which ends with the program.
pub(crate) struct Stage {
    origin: String,
    shared: Shared,
    next: u32,
}

#[derive(Deserialize)]
struct Asked {
    id: u32,
}

impl Stage {
    /// Serve on a free loopback port; pages run for `run_for`.
    pub(crate) async fn start(run_for: Duration) -> Self {
        let shared = Shared { doings: watch::Sender::new(Doings::default()), run_for };
        let script =
            || async { ([(CONTENT_TYPE, "text/javascript")], include_str!("pages/frame.js")) };
        let app = Router::new()
            .route("/form", get(|| async { Html(include_str!("pages/form.html")) }))
            .route("/moving", get(|| async { Html(include_str!("pages/moving.html")) }))
            .route("/frame.js", get(script))
            .route("/go", get(go))
            .route("/done", get(done))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { origin, shared, next: 0 }
    }

    /// Addresses of `count` pages that will wait, with their numbers.
    pub(crate) fn pages(&mut self, page: &str, count: usize) -> (Vec<u32>, Vec<String>) {
        let pages = (0..count).map(|_| {
            self.next += 1;
            (self.next, format!("{}/{page}?id={}", self.origin, self.next))
        });
        pages.unzip()
    }

    /// Address of a page that shows one frame and stands still.
    pub(crate) fn still(&self, page: &str, frame: u32) -> String {
        format!("{}/{page}?frame={frame}", self.origin)
    }

    /// Wait until all are ready.
    pub(crate) async fn ready(&self, ids: &[u32]) {
        self.wait("the pages are ready", |doings| ids.iter().all(|id| doings.waiting.contains(id)))
            .await;
    }

    /// Let them run, and wait until they have.
    pub(crate) async fn run(&self, ids: &[u32]) -> Vec<Ran> {
        self.shared.doings.send_modify(|doings| doings.told.extend(ids));
        self.wait("the pages have run", |doings| ids.iter().all(|id| doings.done.contains_key(id)))
            .await;
        let doings = self.shared.doings.borrow();
        ids.iter().map(|id| doings.done[id]).collect()
    }

    async fn wait(&self, what: &str, condition: impl Fn(&Doings) -> bool) {
        let mut doings = self.shared.doings.subscribe();
        let waiting = doings.wait_for(condition);
        let waited = tokio::time::timeout(self.shared.run_for + PATIENCE, waiting).await;
        drop(waited.unwrap_or_else(|_| panic!("not in time: {what}")).expect("the server runs"));
    }
}

async fn go(State(shared): State<Shared>, Query(Asked { id }): Query<Asked>) -> impl IntoResponse {
    shared.doings.send_modify(|doings| {
        doings.waiting.insert(id);
    });
    let mut doings = shared.doings.subscribe();
    let told = doings.wait_for(|doings| doings.told.contains(&id)).await.is_ok();
    assert!(told, "the server runs");
    Json(json!({ "seconds": shared.run_for.as_secs_f64() }))
}

async fn done(State(shared): State<Shared>, Query(ran): Query<Ran>) {
    shared.doings.send_modify(|doings| {
        doings.done.insert(ran.id, ran);
    });
}
