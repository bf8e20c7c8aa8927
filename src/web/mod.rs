//! Owns the web page over all runs: pages for people, made on this side, without a script. It only
//! looks: nothing here changes a run, and a session is of no use to the API. It holds no rule about
//! evidence; docs/API.md says which pages there are.

mod door;
mod guard;
mod list;
mod query;
mod refusal;
mod run;
mod viewer;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware;
use axum::routing::{any, get, post};
use tokio::sync::watch;

use self::refusal::Refusal;
use crate::auth::SignIn;
use crate::auth::keyring::SharedKeyring;
use crate::config::Config;
use crate::error::{Code, Problem};
use crate::report::PALETTE;
use crate::runs::Runs;

const STYLE: &str = include_str!("web.css");

/// What the pages need.
#[derive(Clone, Debug)]
pub struct Web {
    /// The runs.
    pub runs: Runs,
    /// The API keys.
    pub keys: SharedKeyring,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// The TCP address on which pages are served.
    pub listen: Option<SocketAddr>,
    /// Who is signed in.
    pub sign_in: SignIn,
}

/// Every page. None lies below `/api` or `/v1`.
pub fn router(web: Web) -> Router {
    let for_viewers = Router::new()
        .route("/", get(list::page))
        .route("/ui/runs/{id}", get(run::page))
        .route("/ui/runs/{id}/report.html", get(run::report))
        .route("/ui/runs/{id}/{*path}", get(run::file))
        .layer(middleware::from_fn_with_state(web.clone(), viewer::identify));
    Router::new()
        .merge(for_viewers)
        .route("/ui/links", post(door::link))
        .route("/ui/sign-in", get(door::sign_in_page).post(door::sign_in))
        .route("/ui/sign-out", post(door::sign_out))
        .route("/ui/style.css", get(style))
        .route("/ui/{*rest}", any(no_such_page))
        .layer(middleware::from_fn_with_state(web.clone(), guard::guard))
        .with_state(web)
}

async fn style() -> ([(axum::http::HeaderName, &'static str); 2], String) {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=300")];
    (headers, format!("{PALETTE}{STYLE}"))
}

async fn no_such_page() -> Refusal {
    Problem::new(Code::NoSuchEndpoint, "there is no such page; begin at the list of runs").into()
}
