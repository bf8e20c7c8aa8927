//! Owns the windows that a recorded page opens, and that these open: each is watched from its first
//! request on, covered and recorded like the page itself, until it is closed or the page's recording
//! ends. What it did is told even where it is not recorded.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::emulate::screen;
use super::hub::{Arrivals, Change, Newcomer};
use super::instance::Instance;
use super::mask;
use super::observe::Observed;
use super::page::{Look, Page};
use super::pipe::{CallError, Connection};
use super::record::{LastLook, Recorder, ready};
use super::typed::Typed;
use super::watcher::CdpCommand;
use crate::backend::{Filmed, News, Pending, Popup, Recorded, RecordingRequest, WindowSeen};
use crate::error::CaptureError;
use crate::policy::Policy;
use crate::tasks::Tasks;

/// How long a window may be empty before it is recorded as that.
const OPENING: Duration = Duration::from_millis(250);
/// Most windows of a recording that are watched; of more, only the number is told.
const MOST: u64 = 100;

/// The windows of a recorded page.
#[derive(Debug)]
pub(super) struct Windows {
    stop: oneshot::Sender<()>,
    following: JoinHandle<()>,
}

/// What all windows of a page have in common.
#[derive(Clone)]
struct Opener {
    connection: Connection,
    context: String,
    policy: Policy,
    /// What was typed into the page that opened them.
    typed: Typed,
    /// What a window is told before it begins.
    commands: Vec<CdpCommand>,
    /// The browser's word for itself.
    product: String,
    news: mpsc::Sender<News>,
    tasks: Tasks,
}

/// The end of a window, as far as its recording is concerned.
#[derive(Clone)]
struct Over {
    /// It is gone.
    gone: CancellationToken,
    /// The recording of the page has ended.
    stopped: CancellationToken,
}

impl Over {
    async fn come(&self) {
        tokio::select! {
            () = self.gone.cancelled() => {}
            () = self.stopped.cancelled() => {}
        }
    }
}

impl Windows {
    /// Begin to record the windows that `page` of `instance` opens, telling `news` of each.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn follow(
        page: &Page,
        instance: &Instance,
        news: mpsc::Sender<News>,
        tasks: &Tasks,
    ) -> Result<Self, CallError> {
        let arrivals = instance.hub(tasks).await?.follow(page.context(), page.main_frame());
        let opener = Opener {
            connection: instance.connection.clone(),
            context: page.context().to_owned(),
            policy: page.observed().policy(),
            typed: page.typed().clone(),
            commands: std::iter::once(screen(page.viewport()))
                .chain(page.part_commands())
                .collect(),
            product: instance.product(),
            news,
            tasks: tasks.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        let following = tasks.spawn(opener.run(arrivals, stopped));
        Ok(Self { stop, following })
    }

    /// End the recordings of all windows; everything was told when this returns.
    pub(super) async fn end(self) {
        drop(self.stop);
        if let Err(error) = self.following.await {
            tracing::warn!(%error, "the windows of a recording are lost");
        }
    }
}

impl Opener {
    async fn run(self, mut arrivals: Arrivals, mut stopped: oneshot::Receiver<()>) {
        let stop = CancellationToken::new();
        // The windows there are; their tokens tell that they are gone.
        let mut windows: HashMap<String, CancellationToken> = HashMap::new();
        let (mut filming, mut opened) = (Vec::new(), 0);
        let mut take = |change| match change {
            Change::Opened(newcomer) => {
                opened += 1;
                if opened <= MOST {
                    let over = Over { gone: CancellationToken::new(), stopped: stop.clone() };
                    windows.insert(newcomer.target.clone(), over.gone.clone());
                    let film = self.clone().film(opened, newcomer, over);
                    filming.push(self.tasks.spawn(film));
                }
            }
            Change::Gone(target) => {
                if let Some(gone) = windows.remove(&target) {
                    gone.cancel();
                }
            }
        };
        loop {
            tokio::select! {
                change = arrivals.next() => match change {
                    Some(change) => take(change),
                    None => break,
                },
                _ = &mut stopped => break,
            }
        }
        // What came about before the end is told all the same.
        arrivals.close();
        while let Some(change) = arrivals.known() {
            take(change);
        }
        stop.cancel();
        for film in filming {
            if let Err(error) = film.await {
                tracing::warn!(%error, "a window of a recording is lost");
            }
        }
        if let Some(more) = opened.checked_sub(MOST).filter(|more| *more > 0) {
            // Whoever records the opener may have ended meanwhile.
            drop(self.news.send(News::Unwatched(more)).await);
        }
    }

    /// Record one window until it is over: a recording within a recording.
    fn film(self, number: u64, window: Newcomer, over: Over) -> Pending<'static, ()> {
        Box::pin(self.film_one(number, window, over))
    }

    async fn film_one(self, number: u64, window: Newcomer, over: Over) {
        let ((noted, on_record), (address, url)) = (oneshot::channel(), oneshot::channel());
        let ((request, requested), (done, recorded)) = (oneshot::channel(), oneshot::channel());
        let (told, seen) = oneshot::channel();
        let filming = Filmed { request, recorded };
        let popup = Popup { number, noted, url, filming, seen };
        // Whoever records the opener may have ended meanwhile. Otherwise the window does nothing
        // before it is on record.
        if self.news.send(News::Window(popup)).await.is_ok() {
            let _ = on_record.await;
        }
        let target = window.target.clone();
        let page = Page::attach(&self.connection, self.context.clone(), target, &self.tasks).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => return tracing::debug!(%error, "a window was gone at once"),
        };
        page.observed().set_policy(self.policy.clone());
        // In this order, and without waiting for the answers: a window that waits may give none.
        let masks = self.policy.masks();
        page.set_part_commands(self.commands.clone());
        let line = page.line();
        let (watched, masked, (), ()) = tokio::join!(
            page.watch(),
            mask::put_on(&page, masks),
            line.send_all(self.commands.clone()),
            window.go_on()
        );
        let masked = masked.map_err(CaptureError::from);
        if let Err(error) = watched {
            tracing::debug!(%error, "a window is not watched in full");
        }
        let found = tokio::select! {
            biased;
            () = over.come() => None,
            found = where_it_is(&page) => Some(found),
        };
        // Without an address, there is nothing left to record.
        if let Some(found) = found {
            let found = self.typed.cleaned(found, &self.tasks).await;
            drop(address.send(found));
        }
        if let Ok(request) = requested.await {
            let filmed = match masked {
                Ok(()) => film_until(&page, request, &over, &self.tasks).await,
                Err(problem) => Err(problem),
            };
            // Whoever asked may have gone.
            let _ = done.send(filmed);
        }
        over.come().await;
        let closed = over.gone.is_cancelled();
        let last = page.leave().await;
        let seen = what_was_seen(&mut last.observed(), &self.product, closed);
        match self.cleaned(seen).await {
            Ok(seen) => drop(told.send(seen)),
            Err(error) => tracing::warn!(%error, "what a window did is not told"),
        }
    }
}

impl Opener {
    /// What was seen of a window, without the secrets.
    async fn cleaned(&self, seen: WindowSeen) -> Result<WindowSeen, CaptureError> {
        let told = (seen.facts, Vec::new(), seen.network);
        let (facts, _, network) = self.typed.clean_seen(told, &self.tasks).await?;
        let url = match seen.url {
            Some(url) => Some(self.typed.cleaned(url, &self.tasks).await),
            None => None,
        };
        Ok(WindowSeen { url, facts, network, ..seen })
    }
}

async fn film_until(
    page: &Page,
    request: RecordingRequest,
    over: &Over,
    tasks: &Tasks,
) -> Result<Recorded, CaptureError> {
    ready(page).await?;
    let recorder = Recorder::start(page, request, tasks).await?;
    over.come().await;
    if over.gone.is_cancelled() {
        // Before it is stopped, so that its end is told as what it was.
        page.ended().await;
    }
    recorder.stop(page, LastLook::at(page).await).await
}

/// Where a window is, or soon will be.
async fn where_it_is(page: &Page) -> String {
    let until = Instant::now() + OPENING;
    let elsewhere = |seen: &Observed, _| match address(seen) {
        Some(url) => Look::Found(url),
        None => Look::NotYet,
    };
    page.wait_for(until, elsewhere).await.unwrap_or_else(|| "about:blank".to_owned())
}

/// The address of a window, or that of its first request.
fn address(seen: &Observed) -> Option<String> {
    let there = seen.facts.final_url.as_deref().filter(|url| !matches!(*url, "" | "about:blank"));
    there.or_else(|| seen.network.first()).map(str::to_owned)
}

/// What a window was seen doing. Of one that was led to what policy forbids, its words and its
/// traffic are not kept.
fn what_was_seen(seen: &mut Observed, product: &str, closed: bool) -> WindowSeen {
    seen.facts.downloads = seen.downloads.take();
    let (mut facts, url) = (seen.facts.clone(), address(seen));
    let forbidden = seen.may_be_shown().err().map(|problem| problem.message);
    let network = if forbidden.is_some() || facts.requests == 0 {
        Value::Null
    } else {
        seen.network.archive(product)
    };
    if forbidden.is_some() {
        facts.withhold_words();
    }
    WindowSeen { url, facts, network, forbidden, closed }
}
