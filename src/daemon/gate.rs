//! Owns the way in: who connects is counted, kept to its share and turned away with a word when there
//! is no place; who then asks must send its request in time. It knows no path and no caller's rights.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use futures_util::{Stream, StreamExt as _};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::connections::{Connection, Connections, End, Link};
use crate::auth::peer::{Authenticated, Peer};
use crate::config::Config;
use crate::error::{Code, Problem};

/// How long nothing is accepted when that failed for want of something.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener whose connections are counted.
#[derive(Debug)]
pub(super) struct Gate<L> {
    listener: L,
    connections: Connections,
}

impl<L> Gate<L> {
    pub(super) fn new(listener: L, connections: &Connections) -> Self {
        Self { listener, connections: connections.clone() }
    }
}

/// What accepts streams, and knows whose they are.
pub(super) trait Source: Send + 'static {
    /// A connection of it.
    type Stream: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static;

    /// The next one, and who is at its other end.
    fn next(&mut self) -> impl Future<Output = io::Result<(Self::Stream, End)>> + Send;
    /// Who that is to the API.
    fn peer(stream: &Self::Stream) -> Peer;
}

impl Source for UnixListener {
    type Stream = UnixStream;

    async fn next(&mut self) -> io::Result<(UnixStream, End)> {
        let (stream, _) = Self::accept(self).await?;
        let user = stream.peer_cred().ok().map(|peer| peer.uid());
        Ok((stream, End::User(user)))
    }

    fn peer(stream: &UnixStream) -> Peer {
        Peer::of_socket(stream)
    }
}

impl Source for TcpListener {
    type Stream = TcpStream;

    async fn next(&mut self) -> io::Result<(TcpStream, End)> {
        let (stream, address) = Self::accept(self).await?;
        Ok((stream, End::at(address.ip())))
    }

    fn peer(_: &TcpStream) -> Peer {
        Peer::Tcp
    }
}

impl<L: Source> Listener for Gate<L> {
    type Io = Connection<L::Stream>;
    type Addr = ();

    async fn accept(&mut self) -> (Self::Io, ()) {
        loop {
            self.connections.settle().await;
            match self.listener.next().await {
                Ok((stream, end)) => match self.connections.admit(stream, end) {
                    Ok(connection) => return (connection, ()),
                    Err(stream) => turn_away(&stream),
                },
                Err(error) if is_of_the_other_side(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "nobody can connect; the oldest connections go");
                    self.connections.make_room();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

fn is_of_the_other_side(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Say that there is no place, to whom it may reach: nobody waits for it to be read.
fn turn_away(stream: &impl AsFd) {
    let message = "as many connections are open as may be (`daemon.max_connections`, \
                   `daemon.max_connections_per_peer`); close some, or come again in a moment";
    let body = json!(Problem::new(Code::TooManyConnections, message)).to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: \
         {}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = rustix::io::write(stream, answer.as_bytes());
}

/// A connection's peer, and the connection itself.
#[derive(Clone, Debug)]
pub(super) struct Linked {
    peer: Peer,
    link: Arc<Link>,
}

impl<L: Source> Connected<IncomingStream<'_, Gate<L>>> for Linked {
    fn connect_info(stream: IncomingStream<'_, Gate<L>>) -> Self {
        let connection = stream.io();
        Self { peer: L::peer(connection.stream()), link: Arc::clone(connection.link()) }
    }
}

/// Note that a request is under way until its answer is sent, and hold its body to the slowest rate.
pub(super) async fn pace(
    State(config): State<watch::Receiver<Arc<Config>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let linked = request.extensions_mut().remove::<ConnectInfo<Linked>>();
    let Some(ConnectInfo(Linked { peer, link })) = linked else { return next.run(request).await };
    let under_way = link.begin();
    let (rate, patience) = {
        let daemon = &config.borrow().daemon;
        (daemon.body_rate, daemon.head_limit)
    };
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(Authenticated::new(move || link.is_known()));
    let request = request.map(|body| Body::from_stream(Paced::new(body, rate, patience)));
    let response = next.run(request).await;
    response.map(|body| {
        Body::new(body.map_err(move |error| {
            // Goes with the body, which the server drops when it is sent.
            let _under_way = &under_way;
            error
        }))
    })
}

/// The other side sends too slowly.
#[derive(Debug, thiserror::Error)]
#[error("it arrived more slowly than {rate} bytes a second (`daemon.body_rate`)")]
struct TooSlow {
    rate: u64,
}

/// A body that must arrive at some rate, on average and not counting the time in which nobody reads it.
struct Paced {
    body: BodyDataStream,
    rate: u64,
    /// How long may be waited for what has arrived so far.
    allowed: Duration,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Paced {
    fn new(body: Body, rate: u64, patience: Duration) -> Self {
        let body = body.into_data_stream();
        Self { body, rate, allowed: patience, waited: Duration::ZERO, waiting: None }
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let next = this.body.poll_next_unpin(context);
        if this.rate == 0 {
            return next;
        }
        if let Poll::Ready(next) = next {
            if let Some((since, _)) = this.waiting.take() {
                this.waited += since.elapsed();
            }
            if let Some(Ok(bytes)) = &next {
                let bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let rate = u32::try_from(this.rate).unwrap_or(u32::MAX);
                this.allowed += Duration::from_secs(1) * bytes / rate;
            }
            return Poll::Ready(next);
        }
        let left = this.allowed.saturating_sub(this.waited);
        let start = || (Instant::now(), Box::pin(tokio::time::sleep(left)));
        let (_, timer) = this.waiting.get_or_insert_with(start);
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Some(Err(axum::Error::new(TooSlow { rate: this.rate }))))
    }
}
