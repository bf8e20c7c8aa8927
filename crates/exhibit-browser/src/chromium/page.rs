//! Owns one page in a browser context of its own: making it ready, watching its events, calling
//! it, and disposing of it so that nothing of one capture is left for the next.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::browser::{
    SetDownloadBehaviorBehavior, SetDownloadBehaviorParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::emulation::{
    ScreenOrientation, ScreenOrientationType, SetDeviceMetricsOverrideParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::page::SetLifecycleEventsEnabledParams;
use chromiumoxide_cdp::cdp::browser_protocol::target::{
    AttachToTargetParams, CloseTargetParams, CreateBrowserContextParams, CreateTargetParams,
    DisposeBrowserContextParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::{inspector, log, network, page};
use chromiumoxide_cdp::cdp::js_protocol::runtime;
use chromiumoxide_types::Command;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::injected::remember_on_every_document;
use super::limits::QUICK;
use super::observe::Observed;
use super::pipe::{CallError, Connection};
use super::typed::Typed;
use super::watcher::{CdpCommand, Line, Owner, PageActivity, Watch, auto_attach};
use crate::masks::Masks;
use crate::policy::Policy;
use crate::settings::Viewport;
use crate::tasks::Tasks;
use crate::video::Message;

/// A page in a context of its own.
pub(super) struct Page {
    connection: Connection,
    context: String,
    target: String,
    session: String,
    seen: Arc<PageActivity>,
    /// What takes note of the page's events.
    watching: Mutex<Option<JoinHandle<()>>>,
    /// Scripts that put local storage into place: origin and identifier.
    storage: Mutex<Vec<(String, String)>>,
    /// The masks that are on, and the identifiers of the scripts that put them on.
    masks: Mutex<(Masks, Vec<String>)>,
    /// Whether something that a mask is for was shown, or may have been.
    uncovered: AtomicBool,
    /// What was typed into its fields for secrets.
    typed: Typed,
    /// Whether its view was changed for a picture, and is not what it was yet.
    view_touched: AtomicBool,
    /// Its window.
    viewport: Mutex<Viewport>,
    tasks: Tasks,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Page {
    /// Make a context with one empty page in it, ready to be used and watched.
    ///
    /// # Errors
    /// See [`CallError`]; a context that was made is disposed of again.
    pub(super) async fn open(connection: &Connection, tasks: &Tasks) -> Result<Self, CallError> {
        let context = connection.call("", context_params(), QUICK).await?;
        let context = context.browser_context_id.inner().clone();
        match Self::in_context(connection, context.clone(), tasks).await {
            Ok(page) => Ok(page),
            Err(error) => {
                dispose(connection, &context).await;
                Err(error)
            }
        }
    }

    async fn in_context(
        connection: &Connection,
        context: String,
        tasks: &Tasks,
    ) -> Result<Self, CallError> {
        let viewport = Viewport::default();
        let mut target = CreateTargetParams::new("about:blank");
        target.browser_context_id = Some(context.clone().into());
        target.width = Some(i64::from(viewport.width));
        target.height = Some(i64::from(viewport.height));
        let mut downloads = SetDownloadBehaviorParams::new(SetDownloadBehaviorBehavior::Deny);
        downloads.browser_context_id = Some(context.clone().into());
        let (target, denied) = tokio::join!(
            connection.call("", target, QUICK),
            connection.call("", downloads, QUICK),
        );
        denied?;
        let target = target?.target_id.inner().clone();
        let page = Self::attach(connection, context, target, tasks).await?;
        page.watch().await?;
        let remember = "Page.addScriptToEvaluateOnNewDocument";
        let (sized, added) = tokio::join!(
            page.set_viewport(viewport),
            page.call_raw(remember, remember_on_every_document(), QUICK),
        );
        sized.and(added.map(drop))?;
        // The empty page's own life must be over before another one's is waited for.
        let until = Instant::now() + QUICK;
        let over =
            |seen: &Observed, _| if seen.is_loaded() { Look::Found(()) } else { Look::NotYet };
        page.wait_for(until, over).await.ok_or(CallError::SessionGone)?;
        Ok(page)
    }

    /// A page that is there already, of which nothing but its end is seen before [`Page::watch`]. It
    /// is closed with its context, not by whoever has it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn attach(
        connection: &Connection,
        context: String,
        target: String,
        tasks: &Tasks,
    ) -> Result<Self, CallError> {
        let mut attach = AttachToTargetParams::new(target.clone());
        attach.flatten = Some(true);
        let session = connection.call("", attach, QUICK).await?.session_id.inner().clone();
        let events = connection.subscribe(&session);
        // The main frame of a target has the target's id.
        let observed = Observed::new(target.clone(), Policy::default(), Instant::now());
        let seen = Arc::new(PageActivity::new(observed));
        let page = Self {
            connection: connection.clone(),
            context,
            target,
            session,
            seen,
            watching: Mutex::default(),
            storage: Mutex::default(),
            masks: Mutex::default(),
            uncovered: AtomicBool::new(false),
            typed: Typed::default(),
            view_touched: AtomicBool::new(false),
            viewport: Mutex::default(),
            tasks: tasks.clone(),
        };
        let watch = Watch::of_page(page.line(), Arc::clone(&page.seen), tasks);
        *page.watching.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(tasks.spawn(watch.run(events)));
        Ok(page)
    }

    /// Have the browser tell what the page does.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn watch(&self) -> Result<(), CallError> {
        tokio::try_join!(
            self.call(page::EnableParams::default(), QUICK),
            self.call(SetLifecycleEventsEnabledParams::new(true), QUICK),
            self.call(network::EnableParams::default(), QUICK),
            self.call(runtime::EnableParams::default(), QUICK),
            self.call(log::EnableParams::default(), QUICK),
            self.call(inspector::EnableParams::default(), QUICK),
            self.call(auto_attach(), QUICK),
        )
        .map(drop)
    }

    /// Listen again to a console that was not listened to any more; what it said meanwhile stays
    /// unsaid.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn listen_again(&self) -> Result<(), CallError> {
        if !self.observed().listen_again() {
            return Ok(());
        }
        self.call_raw("Runtime.discardConsoleEntries", json!({}), QUICK).await?;
        self.call_raw("Log.clear", json!({}), QUICK).await?;
        tokio::try_join!(
            self.call(runtime::EnableParams::default(), QUICK),
            self.call(log::EnableParams::default(), QUICK),
        )
        .map(drop)
    }

    /// Call a typed command on the page.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn call<C: Command>(
        &self,
        command: C,
        limit: Duration,
    ) -> Result<C::Response, CallError> {
        self.connection.call(&self.session, command, limit).await
    }

    /// Call a command on the page and leave the answer as it is.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn call_raw(
        &self,
        method: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Box<RawValue>, CallError> {
        self.connection.call_raw(&self.session, method, params, limit).await
    }

    /// Give the window this size.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn set_viewport(&self, viewport: Viewport) -> Result<(), CallError> {
        let (width, height) = (i64::from(viewport.width), i64::from(viewport.height));
        let scale = viewport.device_scale_factor;
        let mut params = SetDeviceMetricsOverrideParams::new(width, height, scale, viewport.mobile);
        // The window fills its screen.
        (params.screen_width, params.screen_height) = (Some(width), Some(height));
        (params.position_x, params.position_y) = (Some(0), Some(0));
        params.screen_orientation = Some(orientation(viewport));
        let before = self.viewport();
        if (before.width, before.height) == (viewport.width, viewport.height) {
            self.call(params, QUICK).await?;
        } else {
            let (sized, ()) = tokio::join!(self.call(params, QUICK), self.size_window(viewport));
            sized?;
        }
        *self.viewport.lock().unwrap_or_else(PoisonError::into_inner) = viewport;
        Ok(())
    }

    /// Give the window around the page the page's size: `outerWidth` and `outerHeight`.
    async fn size_window(&self, viewport: Viewport) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Window {
            window_id: i64,
        }
        let browser = Line { connection: self.connection.clone(), session: String::new() };
        let sizing = async {
            let of = json!({ "targetId": self.target });
            let window: Window = browser.call("Browser.getWindowForTarget", of).await?;
            let bounds = json!({ "width": viewport.width, "height": viewport.height });
            let params = json!({ "windowId": window.window_id, "bounds": bounds });
            browser.call::<IgnoredAny>("Browser.setWindowBounds", params).await
        };
        if let Err(error) = sizing.await {
            tracing::debug!(%error, "the window around a page has another size");
        }
    }

    /// The window's size, as it was last given.
    pub(super) fn viewport(&self) -> Viewport {
        *self.viewport.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Have every part of the page that comes into being, and every window it opens, be told this
    /// before it begins.
    pub(super) fn set_part_commands(&self, commands: Vec<CdpCommand>) {
        *self.seen.commands() = commands;
    }

    /// What every part of the page is told.
    pub(super) fn part_commands(&self) -> Vec<CdpCommand> {
        self.seen.commands().clone()
    }

    /// The way to call the page from elsewhere.
    pub(super) fn line(&self) -> Line {
        Line { connection: self.connection.clone(), session: self.session.clone() }
    }

    /// What watches parts of the page that others hear of.
    pub(super) fn owner(&self) -> Owner {
        Owner::of(self.line(), &self.seen, &self.tasks)
    }

    /// The ways to call the parts of the page that have sessions of their own.
    pub(super) fn parts(&self) -> Vec<Line> {
        self.seen.parts().clone()
    }

    /// Send the page's frames there from now on; or nowhere.
    pub(super) fn send_frames_to(&self, frames: Option<Sender<Message>>) {
        *self.seen.frames() = frames;
    }

    /// Remember a script that puts the local storage of `origin` into place.
    pub(super) fn keep_storage(&self, origin: String, script: String) {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner).push((origin, script));
    }

    /// The script of `origin`, if it has not been taken yet.
    pub(super) fn take_storage(&self, origin: &str) -> Option<String> {
        let mut scripts = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        let at = scripts.iter().position(|(one, _)| one == origin)?;
        Some(scripts.swap_remove(at).1)
    }

    /// What was typed into its fields for secrets.
    pub(super) fn typed(&self) -> &Typed {
        &self.typed
    }

    /// Remember that the page's view is being changed for a picture.
    pub(super) fn touch_view(&self) {
        self.view_touched.store(true, Ordering::Relaxed);
    }

    /// Whether the page's view was changed for a picture, and is not what it was yet.
    pub(super) fn view_is_touched(&self) -> bool {
        self.view_touched.load(Ordering::Relaxed)
    }

    /// Remember that the page's view is what it was.
    pub(super) fn view_is_restored(&self) {
        self.view_touched.store(false, Ordering::Relaxed);
    }

    /// What carries work beside the page.
    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Share what is known of secrets with the page `other`.
    pub(super) fn share_typed(&mut self, other: &Self) {
        self.typed = other.typed.clone();
    }

    /// The masks that are on.
    pub(super) fn masks(&self) -> Masks {
        self.masks.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Remember which masks are on, by which scripts; the scripts that had been before.
    pub(super) fn keep_masks(&self, masks: Masks, scripts: Vec<String>) -> Vec<String> {
        let mut kept = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, (masks, scripts)).1
    }

    /// Remember that something was shown which a mask is for; or forget it.
    pub(super) fn set_uncovered(&self, uncovered: bool) {
        self.uncovered.store(uncovered, Ordering::Relaxed);
    }

    /// Whether something that a mask is for was shown, or may have been, since that was forgotten.
    pub(super) fn was_uncovered(&self) -> bool {
        self.uncovered.load(Ordering::Relaxed)
    }

    /// Let go of a page that was there already; all it was seen doing until then.
    pub(super) async fn leave(self) -> Arc<PageActivity> {
        let params = json!({ "sessionId": self.session });
        let detached = self.connection.call_raw("", "Target.detachFromTarget", params, QUICK).await;
        if let Err(error) = detached {
            tracing::debug!(%error, "a page is gone already");
        }
        self.ended().await;
        self.seen
    }

    /// Have all be noted that has arrived of a page that is gone: whoever records it has heard of its
    /// end when this returns.
    pub(super) async fn ended(&self) {
        self.connection.end_session(&self.session);
        let watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watching) = watching
            && tokio::time::timeout(QUICK, watching).await.is_err()
        {
            tracing::warn!("not all that a page did is known");
        }
    }

    /// Id of the page's context.
    pub(super) fn context(&self) -> &str {
        &self.context
    }

    /// Id of the page's main frame.
    pub(super) fn main_frame(&self) -> &str {
        &self.target
    }

    /// Let everything in the page's context use what a permission is for.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn grant(&self, permission: &str) -> Result<(), CallError> {
        let params = json!({ "permissions": [permission], "browserContextId": self.context });
        self.connection.call_raw("", "Browser.grantPermissions", params, QUICK).await.map(drop)
    }

    /// What the page was seen doing. Not to be held across an await.
    pub(super) fn observed(&self) -> MutexGuard<'_, Observed> {
        self.seen.observed()
    }

    /// Wait until `condition` finds what it looks for, looking again after each event and at the
    /// time it asks to be asked again; none when `until` comes first, or the browser dies.
    pub(super) async fn wait_for<T>(
        &self,
        until: Instant,
        mut condition: impl FnMut(&Observed, Instant) -> Look<T>,
    ) -> Option<T> {
        let mut changed = self.seen.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let now = Instant::now();
            let again = match condition(&self.observed(), now) {
                Look::Found(found) => return Some(found),
                Look::NotYet => until,
                Look::AgainAt(at) => at.min(until),
            };
            if now >= until || self.connection.is_closed() {
                return None;
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(again) => {}
                () = self.connection.closed() => {}
            }
        }
    }

    /// Whether the page can still be used: neither it nor the browser died.
    pub(super) fn is_alive(&self) -> bool {
        !self.connection.is_closed() && !self.observed().crashed
    }

    /// Whether the page's renderer answers.
    pub(super) async fn answers(&self) -> bool {
        let nothing = json!({ "expression": "0" });
        self.call_raw("Runtime.evaluate", nothing, QUICK).await.is_ok() && self.is_alive()
    }

    /// Dispose of the page with its context. False when the browser did not do it, although asked
    /// twice: such a browser should be replaced.
    pub(super) async fn close(self) -> bool {
        if self.connection.is_closed() || dispose(&self.connection, &self.context).await {
            return true;
        }
        // Closing can race with a reload and be lost, although the browser says it succeeded.
        let close = CloseTargetParams::new(self.target.clone());
        let closed =
            self.connection.call("", close, QUICK).await.err().map(|error| error.to_string());
        tracing::warn!(target = self.target, error = closed, "a page had to be closed twice");
        dispose(&self.connection, &self.context).await
    }
}

/// What looking at a page found.
#[derive(Debug)]
pub(super) enum Look<T> {
    /// What was looked for.
    Found(T),
    /// Nothing; look again after the next event.
    NotYet,
    /// Nothing; look again after the next event, and at this time.
    AgainAt(Instant),
}

/// Which way up the screen is that a window fills.
pub(super) fn orientation(viewport: Viewport) -> ScreenOrientation {
    if viewport.width < viewport.height {
        ScreenOrientation::new(ScreenOrientationType::PortraitPrimary, 0)
    } else {
        // A phone on its side was turned.
        let angle = if viewport.mobile { 90 } else { 0 };
        ScreenOrientation::new(ScreenOrientationType::LandscapePrimary, angle)
    }
}

fn context_params() -> CreateBrowserContextParams {
    CreateBrowserContextParams { dispose_on_detach: Some(true), ..Default::default() }
}

/// Dispose of a context and make sure that it is gone.
async fn dispose(connection: &Connection, context: &str) -> bool {
    let params = DisposeBrowserContextParams::new(context.to_owned());
    if let Err(error) = connection.call("", params, QUICK).await {
        tracing::debug!(%error, "a browser context was not disposed of");
    }
    let contexts = connection.call_raw("", "Target.getBrowserContexts", json!({}), QUICK).await;
    match contexts {
        Ok(contexts) => !contexts.get().contains(context),
        Err(_) => connection.is_closed(),
    }
}
