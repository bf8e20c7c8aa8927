//! Owns the question who is calling: the kernel's word on a Unix socket, an API key on TCP. It
//! holds no rule about what they may do.

use std::fmt;
use std::sync::Arc;

use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use tokio::net::UnixStream;

use super::keyring::SharedKeyring;
use crate::error::{Code, Problem};
use crate::run::Caller;

/// What is known of a connection.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A Unix socket: who the kernel says it is; none when it does not say.
    Socket(Option<Caller>),
    /// TCP: nobody yet.
    Tcp,
}

impl Peer {
    /// Who is at the other end of `stream`.
    pub fn of_socket(stream: &UnixStream) -> Self {
        let caller = stream.peer_cred().map(|cred| Caller::Socket {
            uid: cred.uid(),
            gid: cred.gid(),
            pid: cred.pid(),
        });
        Self::Socket(caller.ok())
    }
}

/// What the connection of a request does when the request shows who sent it.
#[derive(Clone)]
pub struct Authenticated(Arc<dyn Fn() + Send + Sync>);

impl Authenticated {
    /// Have `heard` called for a request with this extension.
    pub fn new(heard: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(heard))
    }

    /// The sender of `request` is known.
    pub fn tell(request: &Request) {
        if let Some(Self(heard)) = request.extensions().get() {
            heard();
        }
    }
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticated")
    }
}

/// Who sent `request`.
///
/// # Errors
/// `unauthorized` when a connection over TCP shows no key, or one nobody knows.
pub fn authenticate(request: &Request, keys: &SharedKeyring) -> Result<Caller, Problem> {
    match request.extensions().get::<ConnectInfo<Peer>>() {
        Some(ConnectInfo(Peer::Socket(Some(caller)))) => Ok(caller.clone()),
        Some(ConnectInfo(Peer::Socket(None))) => {
            Err(unauthorized("the kernel does not say who is calling"))
        }
        _ => {
            let key = shown_key(request.headers(), request.uri().query());
            let key = key.ok_or_else(|| {
                unauthorized("no key; send it as `x-api-key`; `exhibit keys add` makes one")
            })?;
            keys.find(&key).ok_or_else(|| {
                unauthorized("the key is not known here; `exhibit keys add` makes one")
            })
        }
    }
}

fn unauthorized(message: &str) -> Problem {
    Problem::new(Code::Unauthorized, message)
}

/// The key a request shows, in any of the three places the hosted API's callers put it.
fn shown_key(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(str::to_owned);
    }
    if let Some(bearer) = headers.get(AUTHORIZATION) {
        let (scheme, key) = bearer.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned());
    }
    let pairs = url::form_urlencoded::parse(query?.as_bytes());
    let found = pairs.into_iter().find(|(name, _)| name == "api_key");
    found.map(|(_, key)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_each_of_its_places() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))])
        };
        let found = |headers: HeaderMap, query| shown_key(&headers, query);
        assert_eq!(found(headers("x-api-key", "k"), None).as_deref(), Some("k"));
        assert_eq!(found(headers("authorization", "bearer k"), None).as_deref(), Some("k"));
        assert_eq!(found(headers("authorization", "Basic k"), None), None);
        assert_eq!(found(HeaderMap::new(), Some("a=1&api_key=k%20")).as_deref(), Some("k "));
        assert_eq!(found(HeaderMap::new(), Some("api_key_=k")), None);
    }
}
