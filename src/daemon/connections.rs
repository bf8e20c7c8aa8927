//! Owns the connections that there are: how many in all and of one peer, how long each may say nothing
//! or take for the head of a request, and which one goes when another needs its place. Who shows no
//! key can hold none for long, and never the last. It knows nothing of what is asked.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Sleep};

use crate::config::Config;

/// What operators have beyond the limit: they must be able to see why nobody is answered.
const FOR_OPERATORS: usize = 16;
/// How long those that are ending are waited for.
const CLOSING: Duration = Duration::from_secs(1);

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A user, by the kernel's word on a Unix socket; none when it does not say.
    User(Option<u32>),
    /// An address, of TCP.
    Address(IpAddr),
}

impl End {
    /// The end at `address`. All of loopback is one: whoever is on this machine has every address of it.
    pub(super) fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let loopback = IpAddr::from([127, 0, 0, 1]);
        Self::Address(if address.is_loopback() { loopback } else { address })
    }

    fn is_operator(self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        matches!(self, Self::User(Some(uid)) if uid == 0 || uid == own)
    }
}

/// What a connection is at.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The head of its first request is awaited, or that of another is arriving, since then.
    Head(Instant),
    /// It was answered at that time, and nothing came since.
    Idle(Instant),
    /// A request is under way; whether it is known whose.
    Busy { known: bool },
}

/// One connection, as those see it who count and end it.
#[derive(Debug)]
pub(super) struct Link {
    end: End,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Another needs its place.
    gone: bool,
    /// Of whoever waits for something to read.
    waker: Option<Waker>,
}

impl Link {
    fn new(end: End) -> Self {
        let phase = Phase::Head(Instant::now());
        Self { end, state: Mutex::new(State { phase, gone: false, waker: None }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has begun; it is under way until the answer is dropped. Whose it is the kernel says
    /// of a Unix socket, and of TCP [`Link::is_known`].
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        let known = matches!(self.end, End::User(_));
        self.state().phase = Phase::Busy { known };
        UnderWay(Arc::clone(self))
    }

    /// The request shows a key that is known here.
    pub(super) fn is_known(&self) {
        self.state().phase = Phase::Busy { known: true };
    }

    fn wake(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it may be ended in another's favour.
    fn may_go(&self) -> bool {
        !matches!(self.state().phase, Phase::Busy { known: true })
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Link>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.wake(|state| state.phase = Phase::Idle(Instant::now()));
    }
}

/// All connections of a daemon.
#[derive(Clone, Debug)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: watch::Receiver<Arc<Config>>,
    /// Most there may be at a time, by the files that may be open.
    most: usize,
    there: Mutex<There>,
    /// One has closed.
    closed: Notify,
}

#[derive(Debug, Default)]
struct There {
    next: u64,
    /// In the order in which they came; one that was ended is not among them.
    links: BTreeMap<u64, Arc<Link>>,
    /// Descriptors that they take, of those that are ending as well.
    open: usize,
}

impl There {
    /// End the oldest connection that may go, of `end` where one is named; whether there was one.
    fn end_oldest(&mut self, end: Option<End>) -> bool {
        let may_go = |link: &Arc<Link>| end.is_none_or(|end| link.end == end) && link.may_go();
        let oldest = self.links.iter().find(|(_, link)| may_go(link)).map(|(id, _)| *id);
        let Some(link) = oldest.and_then(|id| self.links.remove(&id)) else { return false };
        link.wake(|state| state.gone = true);
        true
    }
}

impl Connections {
    /// None yet, and never more than `most` at a time, whatever the configuration says.
    pub(super) fn new(config: watch::Receiver<Arc<Config>>, most: usize) -> Self {
        Self(Arc::new(Shared { config, most, there: Mutex::default(), closed: Notify::new() }))
    }

    fn there(&self) -> MutexGuard<'_, There> {
        self.0.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take in a connection from `end`, in the place of another where there is none free; none when
    /// all are in use by those who may.
    pub(super) fn admit<S>(&self, stream: S, end: End) -> Result<Connection<S>, S> {
        let (of_one, limits) = {
            let daemon = &self.0.config.borrow().daemon;
            let limits = Limits { head: daemon.head_limit, idle: daemon.idle };
            (daemon.max_connections_per_peer, limits)
        };
        let most = self.0.most + if end.is_operator() { FOR_OPERATORS } else { 0 };
        let mut there = self.there();
        let its = there.links.values().filter(|link| link.end == end).count();
        let full = its >= of_one && !there.end_oldest(Some(end))
            || there.links.len() >= most && !there.end_oldest(None);
        if full {
            return Err(stream);
        }
        let (id, link) = (there.next, Arc::new(Link::new(end)));
        there.next += 1;
        there.open += 1;
        there.links.insert(id, Arc::clone(&link));
        drop(there);
        let timer = Box::pin(tokio::time::sleep(limits.head));
        let all = self.clone();
        Ok(Connection { stream, id, link, all, limits, timer, stalled: None })
    }

    /// Wait until those that were ended have closed: they still take descriptors. Not for long, whatever
    /// keeps them.
    pub(super) async fn settle(&self) {
        let most = self.0.most + self.0.most / 4 + FOR_OPERATORS;
        let settled = async {
            loop {
                let closed = self.0.closed.notified();
                if self.there().open < most {
                    return;
                }
                closed.await;
            }
        };
        let _ = tokio::time::timeout(CLOSING, settled).await;
    }

    /// End some of the oldest connections that may go: descriptors are short.
    pub(super) fn make_room(&self) {
        let mut there = self.there();
        for _ in 0..FOR_OPERATORS {
            if !there.end_oldest(None) {
                return;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    head: Duration,
    idle: Duration,
}

/// A connection, for whoever serves it: reading and writing fail when it takes too long, or when
/// another needs its place.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    id: u64,
    link: Arc<Link>,
    all: Connections,
    limits: Limits,
    timer: Pin<Box<Sleep>>,
    /// Until when the other side must take something of what is written.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Connection<S> {
    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Whether it may go on reading; note `waker`, to hear of it.
    fn check(&self, waker: &Waker) -> io::Result<Option<Instant>> {
        let mut state = self.link.state();
        if state.gone {
            let why = "another connection took its place";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, why));
        }
        state.waker = Some(waker.clone());
        Ok(match state.phase {
            Phase::Head(since) => Some(since + self.limits.head),
            Phase::Idle(since) => Some(since + self.limits.idle),
            Phase::Busy { .. } => None,
        })
    }

    /// Hold what `wrote` says against the time that the other side may take nothing.
    fn watch_writing<T>(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let idle = self.limits.idle;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        let mut there = self.all.there();
        there.links.remove(&self.id);
        there.open -= 1;
        drop(there);
        self.all.0.closed.notify_waiters();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let deadline = this.check(context.waker())?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if read.is_ready() && buffer.filled().len() > before {
            let mut state = this.link.state();
            if matches!(state.phase, Phase::Idle(_)) {
                state.phase = Phase::Head(Instant::now());
                return read;
            }
        }
        let Some(deadline) = deadline else { return read };
        // Byte after byte does not lengthen it.
        this.timer.as_mut().reset(deadline);
        match this.timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_writing(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch_writing(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const OTHERS: End = End::User(Some(4_242));

    fn connections(all: usize, of_one: usize, change: impl FnOnce(&mut Config)) -> Connections {
        let mut config = Config::default();
        config.daemon.max_connections_per_peer = of_one;
        change(&mut config);
        Connections::new(watch::Sender::new(Arc::new(config)).subscribe(), all)
    }

    fn connect(all: &Connections, end: End) -> Option<(Connection<DuplexStream>, DuplexStream)> {
        let (ours, theirs) = duplex(64);
        Some((all.admit(ours, end).ok()?, theirs))
    }

    async fn read(connection: &mut Connection<DuplexStream>) -> io::Result<usize> {
        connection.read(&mut [0; 16]).await
    }

    #[test]
    fn all_of_loopback_is_one_end_and_others_are_their_address() {
        let at = |text: &str| End::at(text.parse().expect("an address"));
        assert_eq!(at("127.0.0.1"), at("127.44.5.6"));
        assert_eq!(at("127.0.0.1"), at("::1"));
        assert_eq!(at("127.0.0.1"), at("::ffff:127.9.9.9"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
    }

    #[tokio::test]
    async fn the_oldest_goes_on_which_nothing_known_is_under_way() {
        let all = connections(8, 3, |_| {});
        let mut there: Vec<_> = (0..3).map(|_| connect(&all, OTHERS).expect("room")).collect();
        let under_way = there[0].0.link().begin();
        let (_fourth, _) = connect(&all, OTHERS).expect("in the place of the second");
        let error = read(&mut there[1].0).await.expect_err("ended");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        there[2].1.write_all(b"GET").await.expect("written");
        assert_eq!(read(&mut there[2].0).await.expect("it stays"), 3);
        there[0].1.write_all(b"body").await.expect("written");
        assert_eq!(read(&mut there[0].0).await.expect("it stays"), 4);
        drop(under_way);
        let (_fifth, _) = connect(&all, OTHERS).expect("in the place of the first");
        read(&mut there[0].0).await.expect_err("ended");
        // Whose request it is nobody knows on TCP, until a key says so.
        let tcp = End::at([127, 0, 0, 1].into());
        let known: Vec<_> = (0..3).map(|_| connect(&all, tcp).expect("room")).collect();
        let under_way: Vec<_> = known.iter().map(|(one, _)| one.link().begin()).collect();
        for (one, _) in &known {
            one.link().is_known();
        }
        assert!(connect(&all, tcp).is_none(), "all three work for somebody");
        drop(under_way);
        assert!(connect(&all, tcp).is_some());
    }

    #[tokio::test]
    async fn there_are_never_more_than_all_and_operators_still_come_in() {
        let all = connections(4, 4, |_| {});
        let busy = |end: End| {
            let (connection, stream) = connect(&all, end)?;
            let under_way = connection.link().begin();
            Some((connection, stream, under_way))
        };
        let held: Vec<_> = (0..4).map(|_| busy(OTHERS).expect("room")).collect();
        assert!(connect(&all, End::User(Some(4_243))).is_none());
        assert!(connect(&all, End::User(Some(0))).is_some(), "to see why");
        drop(held);
        assert!(connect(&all, End::User(Some(4_243))).is_some());
    }

    #[tokio::test]
    async fn a_head_that_comes_byte_by_byte_and_a_silent_connection_are_given_up() {
        let short = Duration::from_millis(80);
        let all = connections(8, 8, |config| {
            (config.daemon.head_limit, config.daemon.idle) = (short, short);
        });
        let (mut silent, _theirs) = connect(&all, OTHERS).expect("room");
        let error = read(&mut silent).await.expect_err("silent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (mut slow, mut theirs) = connect(&all, OTHERS).expect("room");
        let began = Instant::now();
        let error = loop {
            drop(theirs.write_all(b"x").await);
            if let Err(error) = read(&mut slow).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= short);

        // While a request is under way its connection may be silent; afterwards it may be for a while.
        let (mut kept, _theirs) = connect(&all, OTHERS).expect("room");
        let under_way = kept.link().begin();
        tokio::time::timeout(short * 2, read(&mut kept)).await.expect_err("it waits");
        drop(under_way);
        let error = read(&mut kept).await.expect_err("idle");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn whoever_takes_nothing_of_its_answer_is_given_up() {
        let all = connections(8, 8, |config| config.daemon.idle = Duration::from_millis(80));
        let (mut ours, _theirs) = connect(&all, OTHERS).expect("room");
        let _under_way = ours.link().begin();
        let error = ours.write_all(&[0; 1024]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
