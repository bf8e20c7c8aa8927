//! Owns what goes with one running browser: pages prepared ahead, so that callers do not wait for
//! them, and the count of captures under way, so that a browser is not ended under one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, Notify, OnceCell, mpsc};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::hub::Hub;
use super::page::Page;
use super::pipe::{CallError, Connection};
use crate::tasks::Tasks;

/// A browser that takes captures.
#[derive(Debug)]
pub(super) struct Instance {
    /// The way to talk to it.
    pub(super) connection: Connection,
    /// What is on record about it.
    pub(super) provenance: Value,
    prepared: Mutex<mpsc::Receiver<Page>>,
    taken: AtomicU32,
    under_way: TaskTracker,
    /// What hears of new windows and of shared workers, from before the first page on.
    hub: Arc<OnceCell<Arc<Hub>>>,
    /// Asked for: a successor, because this one is old or behaves oddly.
    replace: Notify,
}

impl Instance {
    /// Begin to keep `prepared` pages ready.
    pub(super) fn start(
        connection: Connection,
        provenance: Value,
        prepared: usize,
        tasks: &Tasks,
    ) -> Arc<Self> {
        // One more page is always in the hand of whoever prepares.
        let (sender, receiver) = mpsc::channel(prepared.saturating_sub(1).max(1));
        let hub = Arc::default();
        drop(tasks.spawn(prepare(connection.clone(), Arc::clone(&hub), sender, tasks.clone())));
        Arc::new(Self {
            connection,
            provenance,
            prepared: Mutex::new(receiver),
            taken: AtomicU32::new(0),
            under_way: TaskTracker::new(),
            hub,
            replace: Notify::new(),
        })
    }

    /// The browser's own word for itself: `HeadlessChrome/156.0.8078.79`.
    pub(super) fn product(&self) -> String {
        self.provenance["version"]["product"].as_str().unwrap_or_default().to_owned()
    }

    /// What hears of the browser's new windows.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn hub(&self, tasks: &Tasks) -> Result<&Arc<Hub>, CallError> {
        self.hub.get_or_try_init(|| Hub::start(&self.connection, tasks)).await
    }

    /// A page nobody has used; none when the browser dies first.
    pub(super) async fn page(&self) -> Option<Page> {
        loop {
            let page = tokio::select! {
                page = async { self.prepared.lock().await.recv().await } => page?,
                () = self.connection.closed() => return None,
            };
            if page.is_alive() {
                return Some(page);
            }
            page.close().await;
        }
    }

    /// A page nobody has used, for a capture that lost its own: what killed that one's renderer
    /// may have killed those of the prepared pages too, so this one has to answer first.
    pub(super) async fn proven_page(&self) -> Option<Page> {
        loop {
            let page = self.page().await?;
            if page.answers().await {
                return Some(page);
            }
            page.close().await;
        }
    }

    /// While this is held, the browser is not ended in an orderly way.
    pub(super) fn under_way(&self) -> TaskTrackerToken {
        self.under_way.token()
    }

    /// Count a capture; after `most` of them a successor is asked for.
    pub(super) fn count_capture(&self, most: u32) {
        if self.taken.fetch_add(1, Ordering::Relaxed) + 1 == most {
            self.replace.notify_one();
        }
    }

    /// Ask for a successor.
    pub(super) fn ask_for_successor(&self) {
        self.replace.notify_one();
    }

    /// Completes when a successor was asked for.
    pub(super) async fn successor_wanted(&self) {
        self.replace.notified().await;
    }

    /// Wait, at most for `limit`, until no capture is under way.
    pub(super) async fn idle(&self, limit: Duration) {
        self.under_way.close();
        if tokio::time::timeout(limit, self.under_way.wait()).await.is_err() {
            tracing::warn!("a browser is ended although a capture is still under way");
        }
    }
}

/// Keep pages coming as long as the browser lives and somebody may want them.
async fn prepare(
    connection: Connection,
    hub: Arc<OnceCell<Arc<Hub>>>,
    pages: mpsc::Sender<Page>,
    tasks: Tasks,
) {
    let hub = match hub.get_or_try_init(|| Hub::start(&connection, &tasks)).await {
        Ok(hub) => hub,
        Err(error) => {
            tracing::warn!(%error, "a browser does not tell of its windows, and is not used");
            return;
        }
    };
    while !connection.is_closed() {
        match Page::open(&connection, &tasks).await {
            Ok(page) => {
                hub.watch_workers_of(&page);
                tokio::select! {
                    sent = pages.send(page) => if sent.is_err() { return },
                    () = connection.closed() => return,
                }
            }
            Err(_) if connection.is_closed() => return,
            Err(error) => {
                tracing::warn!(%error, "a page could not be prepared");
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                    () = connection.closed() => return,
                }
            }
        }
    }
}
