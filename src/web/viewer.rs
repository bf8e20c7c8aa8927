//! Owns who looks: the session of whoever signed in, the kernel's word on a Unix socket, or an API
//! key; and whose runs they may look at.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HOST};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Web;
use super::refusal::Refusal;
use crate::auth::{may_see_all, peer, reader_of};
use crate::error::{Code, Problem};
use crate::run::{Caller, Reader};
use crate::runs::Accessor;

/// Somebody who looks.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    pub(super) caller: Caller,
    /// Whose runs they may look at.
    pub(super) reader: Reader,
    /// Whether they signed in, and so can sign out.
    pub(super) signed_in: bool,
}

impl Viewer {
    /// Who it is, in words.
    pub(super) fn name(&self) -> String {
        self.caller.words()
    }

    /// The same, for whoever puts on record what is seen.
    pub(super) fn accessor(&self) -> Accessor {
        let (caller, reader) = (self.caller.clone(), self.reader.clone());
        Accessor { caller, reader, session: self.signed_in }
    }
}

/// Let pass whoever may look at anything at all.
pub(super) async fn identify(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    match viewer(&web, &request) {
        Ok(viewer) => {
            request.extensions_mut().insert(viewer);
            next.run(request).await
        }
        Err(problem) => Refusal(problem).into_response(),
    }
}

fn viewer(web: &Web, request: &Request) -> Result<Viewer, Problem> {
    let settings = web.config.borrow().web.clone();
    let session = session_token(web, request.headers())
        .and_then(|token| web.sign_in.session(token, web.runs.clock().now()))
        // Whoever is not named any more is out at once.
        .filter(|caller| may_see_all(caller, &settings));
    if let Some(caller) = session {
        return Ok(Viewer { caller, reader: Reader::Everything, signed_in: true });
    }
    let caller = peer::authenticate(request, &web.keys).map_err(|_| {
        let message = "nobody is signed in here, or the session has ended; get a link to sign in";
        Problem::new(Code::Unauthorized, message)
    })?;
    let reader = reader_of(&caller, &settings);
    Ok(Viewer { caller, reader, signed_in: false })
}

/// The name of the session's cookie. Under https browsers hold it to this host by its prefix.
pub(super) fn cookie_name(web: &Web, headers: &HeaderMap) -> &'static str {
    if is_https(web, headers) { "__Host-exhibit-session" } else { "exhibit-session" }
}

/// Whether the request came by the configured address, and that is one of https.
pub(super) fn is_https(web: &Web, headers: &HeaderMap) -> bool {
    let config = web.config.borrow();
    let Some(url) = config.web.url.as_ref().filter(|url| url.scheme() == "https") else {
        return false;
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    url.host_str().is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// The session's token, as the browser shows it.
pub(super) fn session_token<'h>(web: &Web, headers: &'h HeaderMap) -> Option<&'h str> {
    let name = cookie_name(web, headers);
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}
