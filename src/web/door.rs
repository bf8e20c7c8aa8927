//! Owns signing in and out: a link that is asked for over the Unix socket, the page it leads to, the
//! session it opens. Following the link changes nothing, so that a preview does not use it up.

use askama::Template;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Web;
use super::refusal::{Refusal, page_of};
use super::viewer::{cookie_name, is_https, session_token};
use crate::auth::{LINK, may_see_all, peer};
use crate::error::{Code, Problem};
use crate::run::Caller;
use crate::secret::Secret;

/// Make a link that signs in, for whoever may look at everybody's runs.
pub(super) async fn link(State(web): State<Web>, request: Request) -> Response {
    match make_link(&web, &request) {
        Ok(answer) => (StatusCode::CREATED, Json(answer)).into_response(),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.code.status());
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(problem)).into_response()
        }
    }
}

fn make_link(web: &Web, request: &Request) -> Result<Value, Problem> {
    let caller = peer::authenticate(request, &web.keys)?;
    let settings = web.config.borrow().web.clone();
    if !may_see_all(&caller, &settings) {
        let why = match &caller {
            Caller::Socket { uid, .. } => format!(
                "user {uid} may not look at everybody's runs; ask the operator to put {uid} into \
                 `web.viewers`"
            ),
            _ => "a key opens no session; ask over the Unix socket, or send the key with each \
                  request"
                .to_owned(),
        };
        return Err(Problem::new(Code::NotAViewer, why));
    }
    let Some(address) = web.listen else {
        let message = "no web page is served; set `daemon.listen`, such as \"127.0.0.1:8420\", and \
                       restart the daemon";
        return Err(Problem::new(Code::NoWebAddress, message).field("daemon.listen"));
    };
    let base = settings.url.map_or_else(
        || format!("http://{address}"),
        |url| url.as_str().trim_end_matches('/').to_owned(),
    );
    tracing::info!(viewer = caller.words(), "a link to sign in was made");
    let token = web.sign_in.link(caller, web.runs.clock().now())?;
    Ok(json!({
        "url": format!("{base}/ui/sign-in?token={}", token.expose()),
        "expires_in_s": LINK.as_secs(),
    }))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    viewer: Option<String>,
    signed_in: bool,
    refresh: Option<u32>,
    token: String,
}

/// The page that a link leads to: a button, and nothing used up yet.
pub(super) async fn sign_in_page(
    State(web): State<Web>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let token = field(query.unwrap_or_default().as_bytes(), "token");
    if !web.sign_in.is_link(token.expose(), web.runs.clock().now()) {
        return Err(not_valid().into());
    }
    let token = token.expose().clone();
    Ok(page_of(&SignInPage { viewer: None, signed_in: false, refresh: None, token }))
}

pub(super) async fn sign_in(
    State(web): State<Web>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let token = field(&body.unwrap_or_default(), "token");
    let lasting = web.config.borrow().web.session;
    let redeemed = web.sign_in.redeem(token.expose(), lasting, web.runs.clock().now())?;
    let (session, caller) = redeemed.ok_or_else(not_valid)?;
    tracing::info!(viewer = caller.words(), "signed in to the web page");
    Ok(with_cookie(&web, &headers, session.expose(), lasting.as_secs()))
}

pub(super) async fn sign_out(State(web): State<Web>, headers: HeaderMap) -> Response {
    if let Some(token) = session_token(&web, &headers) {
        web.sign_in.end(token, web.runs.clock().now());
    }
    with_cookie(&web, &headers, "", 0)
}

/// To the first page, with the session's cookie set, or taken away.
fn with_cookie(web: &Web, headers: &HeaderMap, value: &str, seconds: u64) -> Response {
    let secure = if is_https(web, headers) { "; Secure" } else { "" };
    let cookie = format!(
        "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}",
        cookie_name(web, headers)
    );
    let cookie = HeaderValue::from_str(&cookie).expect("a token is plain ASCII");
    let to = [(LOCATION, HeaderValue::from_static("/")), (SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, to).into_response()
}

fn not_valid() -> Problem {
    let message = format!(
        "this link was used, is older than {} seconds, or is from before a restart; run `exhibit \
         open` again",
        LINK.as_secs()
    );
    Problem::new(Code::LinkNotValid, message)
}

/// The field `name` of a form; empty when there is none.
fn field(form: &[u8], name: &str) -> Secret<String> {
    let mut pairs = url::form_urlencoded::parse(form);
    let found = pairs.find(|(found, _)| found == name);
    Secret::new(found.map_or_else(String::new, |(_, value)| value.into_owned()))
}
