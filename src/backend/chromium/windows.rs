//! Owns the windows that a recorded page opens, and that these open: each is watched, covered and
//! recorded like the page itself, until it is closed or its opener's recording ends.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::mask;
use super::observe::Observed;
use super::page::{Look, Page, QUICK};
use super::pipe::{CallError, Connection, Events};
use super::record::Recorder;
use super::watcher::Line;
use crate::backend::{Pending, Popup};
use crate::policy::Policy;
use crate::settings::presentable_text;
use crate::tasks::Tasks;

/// How long a window may be empty before it is recorded as that.
const OPENING: Duration = Duration::from_secs(1);

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
    popups: mpsc::Sender<Popup>,
    tasks: Tasks,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    target_info: TargetInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetInfo {
    target_id: String,
    opener_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destroyed {
    target_id: String,
}

impl Windows {
    /// Begin to record the windows that `page` opens, telling `popups` of each.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn follow(
        page: &Page,
        popups: mpsc::Sender<Popup>,
        tasks: &Tasks,
    ) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Attached {
            session_id: String,
        }
        let Line { connection, .. } = page.line();
        // A session of its own with the browser, whose events are nobody else's.
        let browser = Line { connection: connection.clone(), session: String::new() };
        let attached: Attached = browser.call("Target.attachToBrowserTarget", json!({})).await?;
        let events = connection.subscribe(&attached.session_id);
        let line = Line { connection: connection.clone(), session: attached.session_id };
        let params = json!({ "discover": true, "filter": [{ "type": "page" }] });
        line.call::<IgnoredAny>("Target.setDiscoverTargets", params).await?;
        let opener = Opener {
            connection,
            context: page.context().to_owned(),
            policy: page.observed().policy(),
            popups,
            tasks: tasks.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        let first = page.main_frame().to_owned();
        let following = tasks.spawn(opener.run(line, events, first, stopped));
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
    async fn run(
        self,
        line: Line,
        mut events: Events,
        first: String,
        mut stopped: oneshot::Receiver<()>,
    ) {
        // The windows there are; who lets go of the value ends its recording.
        let mut windows: HashMap<String, Option<oneshot::Sender<()>>> =
            HashMap::from([(first, None)]);
        let mut filming = Vec::new();
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = &mut stopped => break,
            };
            let Some(event) = event else { break };
            match event.method.as_str() {
                "Target.targetCreated" => {
                    let Some(Created { target_info }) = event.read() else { continue };
                    let opener = target_info.opener_id.as_ref();
                    let ours = opener.is_some_and(|opener| windows.contains_key(opener));
                    if ours && !windows.contains_key(&target_info.target_id) {
                        let (end, ended) = oneshot::channel();
                        windows.insert(target_info.target_id.clone(), Some(end));
                        filming.push(self.tasks.spawn(self.clone().film(target_info, ended)));
                    }
                }
                "Target.targetDestroyed" => {
                    let Some(Destroyed { target_id }) = event.read() else { continue };
                    if let Some(window) = windows.get_mut(&target_id) {
                        *window = None;
                    }
                }
                _ => {}
            }
        }
        drop(windows);
        for film in filming {
            if let Err(error) = film.await {
                tracing::warn!(%error, "a window of a recording is lost");
            }
        }
        let params = json!({ "sessionId": line.session });
        if let Err(error) =
            line.connection.call_raw("", "Target.detachFromTarget", params, QUICK).await
        {
            tracing::debug!(%error, "a session with the browser was not ended");
        }
    }

    /// Record one window until it is over: a recording within a recording.
    fn film(self, window: TargetInfo, ended: oneshot::Receiver<()>) -> Pending<'static, ()> {
        Box::pin(self.film_one(window, ended))
    }

    async fn film_one(self, window: TargetInfo, ended: oneshot::Receiver<()>) {
        let page = Page::adopt(&self.connection, self.context, window.target_id, &self.tasks).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => return tracing::debug!(%error, "a window was gone at once"),
        };
        page.observed().set_policy(self.policy.clone());
        let (order, ordered) = oneshot::channel();
        let (done, recorded) = oneshot::channel();
        let url = address(&page).await;
        // Whoever records the opener may have ended meanwhile.
        let _ = self.popups.send(Popup { url, order, recorded }).await;
        drop(self.popups);
        if let Ok(order) = ordered.await {
            let filmed = async {
                mask::put_on(&page, self.policy.masks()).await.map_err(super::into_problem)?;
                let recorder = Recorder::start(&page, order, &self.tasks).await?;
                // It ends either way.
                let _ = ended.await;
                recorder.stop(&page).await
            };
            // Whoever asked may have gone.
            let _ = done.send(filmed.await);
        }
        page.detach().await;
    }
}

/// Where a window is, or soon will be.
async fn address(page: &Page) -> String {
    let until = Instant::now() + OPENING;
    let elsewhere = |seen: &Observed, _| match seen.facts.final_url.as_deref() {
        None | Some("" | "about:blank") => Look::NotYet,
        Some(url) => Look::Found(url.to_owned()),
    };
    // Where it was before it was watched, the browser has to be asked.
    let told = async {
        let told = page.call_raw("Target.getTargetInfo", json!({}), QUICK).await.ok()?;
        let told: Value = serde_json::from_str(told.get()).ok()?;
        told["targetInfo"]["url"].as_str().map(str::to_owned)
    };
    match told.await {
        Some(url) if !matches!(url.as_str(), "" | "about:blank") => presentable_text(url),
        _ => page.wait_for(until, elsewhere).await.unwrap_or_else(|| "about:blank".to_owned()),
    }
}
