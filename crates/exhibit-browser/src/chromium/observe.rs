//! Owns what is seen of a page through its events: the main document and its redirects, requests
//! under way, console, dialogs, crashes. Pure bookkeeping: events go in, facts come out.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::time::Instant;

pub(super) use self::intercepted::Catching;
use super::bound::Bound;
use super::cut::cut;
use super::downloads::Downloads;
use super::events::{
    Attached, AttachedTarget, DialogOpening, FrameNavigated, Lifecycle, LoadingEnded,
    NavigatedWithin, RequestWillBeSent, Response, ResponseReceived, WebSocketCreated, WindowOpen,
};
use super::net_error::is_cut_short;
use super::network::NetworkLog;
use super::pipe::RawEvent;
use crate::backend::{ConsoleLine, Dialog, FailedRequest, PageFacts, Redirect, Worker};
use crate::blocking::Blocking;
use crate::error::{CaptureError, ErrorKind};
use crate::masks::Masks;
use crate::policy::Policy;
use crate::settings::presentable_text;

/// Longest console text kept, in characters.
const TEXT_LIMIT: usize = 4_000;
/// Longest address in a sentence about it.
const ADDRESS_LIMIT: usize = 500;
/// Most failed requests, and most dialogs and pop-ups, kept.
const FAILED_LIMIT: usize = 100;
const DIALOG_LIMIT: usize = 100;

/// What a page was seen doing.
#[derive(Debug)]
pub(super) struct Observed {
    /// Id of the main frame.
    pub(super) main_frame: String,
    /// The facts so far.
    pub(super) facts: PageFacts,
    /// The console so far.
    pub(super) console: Vec<ConsoleLine>,
    /// The network traffic so far.
    pub(super) network: NetworkLog,
    /// Document whose life-cycle counts: the last that was committed in the main frame.
    loader: String,
    /// Every document committed in the main frame.
    committed: Vec<String>,
    /// The life-cycle events of that document.
    dom_content_loaded: bool,
    loaded: bool,
    /// Requests under way: address and session, by id.
    in_flight: HashMap<String, (String, u32)>,
    /// Since when at most 0 and at most 2 requests are under way.
    idle_since: [Option<Instant>; 2],
    /// Downloads, which are refused.
    pub(super) downloads: Downloads,
    /// Whether the renderer died.
    pub(super) crashed: bool,
    /// The error by which the main document ended before its end.
    pub(super) cut_short: Option<String>,
    /// What ends the waiting for the page.
    pub(super) bound: Bound,
    /// Whether any answer has arrived for the main document.
    pub(super) answered: bool,
    /// What policy said of an address something was loaded from.
    pub(super) forbidden: Option<String>,
    /// What policy says of the host the page is on, where it forbids that.
    strayed: Option<CaptureError>,
    policy: Policy,
    /// What is kept from loading.
    blocking: Blocking,
    /// Whether the answer to the next navigation is to be taken from the browser.
    pub(super) catching: Catching,
    /// Whether the browser tells nothing of a console any more, because there was too much of it.
    silenced: bool,
    /// Whether a document has begun since then, which our scripts may have come to late.
    begun_silenced: bool,
}

/// Something the observer of the events must act on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nothing.
    None,
    /// Answer the dialog: whether to accept it.
    AnswerDialog(bool),
    /// The renderer is dead: end the session.
    Crashed,
    /// Let the request go on that waits.
    LetLoad(String),
    /// Keep the request that waits from being sent.
    Block(String),
    /// The page has a part with a session of its own, a frame of another site or a worker: watch
    /// it too.
    Attach(String),
}

/// The session of the page itself; its parts are numbered from 1.
pub(super) const PAGE: u32 = 0;

impl Observed {
    /// Nothing seen yet of the page whose main frame has this id.
    pub(super) fn new(main_frame: String, policy: Policy, now: Instant) -> Self {
        Self {
            main_frame,
            facts: PageFacts::default(),
            console: Vec::new(),
            network: NetworkLog::default(),
            loader: String::new(),
            committed: Vec::new(),
            dom_content_loaded: false,
            loaded: false,
            in_flight: HashMap::new(),
            idle_since: [Some(now); 2],
            downloads: Downloads::default(),
            crashed: false,
            cut_short: None,
            bound: Bound::default(),
            answered: false,
            forbidden: None,
            strayed: None,
            policy,
            blocking: Blocking::default(),
            catching: Catching::default(),
            silenced: false,
            begun_silenced: false,
        }
    }

    /// Begin anew with the page as it stands: what was seen for an earlier capture is not this
    /// one's, but for the document and where it came from.
    pub(super) fn begin_again(&mut self) {
        self.facts = PageFacts {
            final_url: self.facts.final_url.take(),
            document: self.facts.document.take(),
            ..PageFacts::default()
        };
        self.console = Vec::new();
        self.network = NetworkLog::default();
        self.downloads.expect();
    }

    /// Keep this from loading from now on.
    pub(super) fn set_blocking(&mut self, blocking: Blocking) {
        self.blocking = blocking;
    }

    /// The page's address, for the lists of what is kept from loading: for a page of the caller's
    /// own, one that is nobody's.
    pub(super) fn address(&self) -> &str {
        let address = self.facts.final_url.as_deref().filter(|url| url.starts_with("http"));
        address.unwrap_or("https://written.invalid/")
    }

    /// Whether anything is kept from loading.
    pub(super) fn is_blocking(&self) -> bool {
        !self.blocking.is_empty()
    }

    /// Judge what is loaded by `policy` from now on.
    pub(super) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        if let Some(url) = self.facts.final_url.clone() {
            self.judge_host(&url);
        }
    }

    fn judge_host(&mut self, url: &str) {
        let url = url.parse::<url::Url>().ok();
        // Chromium's own pages have a host as well, which nobody can allow.
        let of_the_web = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        self.strayed = of_the_web.and_then(|url| self.policy.check_url(&url).err());
    }

    /// What is judged by.
    pub(super) fn policy(&self) -> Policy {
        self.policy.clone()
    }

    /// What is covered in the page.
    pub(super) fn masks(&self) -> Masks {
        self.policy.masks().clone()
    }

    /// Whether policy lets the page be shown.
    ///
    /// # Errors
    /// `target_forbidden` when it does not.
    pub(super) fn may_be_shown(&self) -> Result<(), CaptureError> {
        if let Some(why) = &self.forbidden {
            let message = format!("the page loaded what policy forbids ({why}); ask the operator");
            return Err(CaptureError::new(ErrorKind::TargetForbidden, message).field("url"));
        }
        match &self.strayed {
            Some(problem) => {
                Err(CaptureError::new(problem.kind, problem.message.clone()).field("url"))
            }
            None => Ok(()),
        }
    }

    /// Whether the current document's `load` event has fired.
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether the current document's `DOMContentLoaded` event has fired.
    pub(super) fn is_parsed(&self) -> bool {
        self.dom_content_loaded || self.loaded
    }

    /// Since when at most `most` (0, or else 2) requests have been under way; none if there are
    /// more now.
    pub(super) fn idle_since(&self, most: usize) -> Option<Instant> {
        self.idle_since[usize::from(most > 0)]
    }

    /// Forget the life-cycle so far: a new document begins at `now`, and its quiet too.
    pub(super) fn expect_document(&mut self, now: Instant) {
        self.cut_short = None;
        self.dom_content_loaded = false;
        self.loaded = false;
        self.expect_quiet(now);
    }

    /// Count the network's quiet from `now` on.
    pub(super) fn expect_quiet(&mut self, now: Instant) {
        for since in self.idle_since.iter_mut().flatten() {
            *since = now;
        }
    }

    /// The document `loader` was asked for: until its events arrive, nothing known counts for it.
    pub(super) fn expect_loader(&mut self, loader: &str, now: Instant) {
        if self.loader != loader && !self.committed.iter().any(|known| known == loader) {
            loader.clone_into(&mut self.loader);
            self.expect_document(now);
        }
    }

    /// The document whose life-cycle counts, by the browser's id, which its request has too.
    pub(super) fn loader(&self) -> &str {
        &self.loader
    }

    /// Addresses of requests under way, at most 20.
    pub(super) fn in_flight(&self) -> Vec<String> {
        let urls = self.in_flight.values().map(|(url, _)| url.clone());
        let mut urls: Vec<String> = urls.collect();
        urls.sort();
        urls.truncate(20);
        urls
    }

    /// A part of the page is gone, and nothing it asked for will arrive.
    pub(super) fn part_ended(&mut self, session: u32, now: Instant) {
        self.in_flight.retain(|_, (_, asker)| *asker != session);
        self.count_idle(now);
    }

    /// Take note of an event of `session` that arrived at `now`.
    pub(super) fn note(&mut self, session: u32, event: &RawEvent, now: Instant) -> Reaction {
        match event.method.as_str() {
            "Network.requestWillBeSent" => self.request(session, event, now),
            "Network.responseReceived" => self.response(event, now),
            "Network.loadingFinished" => self.request_ended(event, now),
            "Network.loadingFailed" => self.request_failed(event, now),
            "Network.webSocketCreated" => self.web_socket(event),
            "Fetch.requestPaused" => return self.paused(event),
            "Page.frameNavigated" => self.navigated(event, now),
            "Page.navigatedWithinDocument" => self.navigated_within(event),
            "Page.lifecycleEvent" => self.lifecycle(event, now),
            "Page.javascriptDialogOpening" => return self.dialog(event),
            "Page.frameScheduledNavigation" => self.navigation_scheduled(event),
            "Page.frameClearedScheduledNavigation" => self.navigation_cleared(event),
            "Page.frameRequestedNavigation" => self.navigation_requested(event),
            "Page.windowOpen" => self.window_open(event),
            "Page.downloadWillBegin" => self.downloads.note(event, session == PAGE),
            "Runtime.consoleAPICalled" => self.console_call(event),
            "Runtime.exceptionThrown" => self.exception(event),
            "Log.entryAdded" => self.log_entry(event),
            "Target.attachedToTarget" => return self.part(event),
            "Inspector.targetCrashed" if session == PAGE => {
                self.crashed = true;
                return Reaction::Crashed;
            }
            _ => {}
        }
        Reaction::None
    }

    /// The page has one more part.
    fn part(&mut self, event: &RawEvent) -> Reaction {
        let Some(Attached { session_id, target_info }) = event.read() else {
            return Reaction::None;
        };
        let AttachedTarget { kind, url } = target_info;
        let workers = &mut self.facts.workers;
        if kind.ends_with("worker") && workers.len() < FAILED_LIMIT {
            workers.push(Worker { kind, url: presentable_text(url) });
        }
        Reaction::Attach(session_id)
    }

    fn request(&mut self, session: u32, event: &RawEvent, now: Instant) {
        let Some(request) = event.read::<RequestWillBeSent>() else { return };
        self.facts.requests += 1;
        let (id, kind) = (&request.request_id, request.kind.as_deref().unwrap_or_default());
        if let Some(redirect) = &request.redirect_response {
            self.network.answered(id, redirect, request.timestamp);
            self.network.ended(id, None, None, Some(request.timestamp));
        }
        self.network.began(id, kind, &request.request, request.timestamp, request.wall_time);
        let is_main = request.kind.as_deref() == Some("Document")
            && request.frame_id.as_deref() == Some(&self.main_frame);
        if is_main {
            match request.redirect_response {
                Some(redirect) => {
                    self.judge(&redirect);
                    let url = presentable_text(redirect.url);
                    let hop = Redirect { url, status: redirect.status };
                    self.facts.redirects.push(hop);
                }
                // A navigation of the page's own begins a new chain; the old one stays on record.
                None => self.answered = false,
            }
        } else if let Some(redirect) = &request.redirect_response {
            self.judge(redirect);
        }
        // A stream of events never ends, and a page that has one is idle all the same.
        if request.kind.as_deref() != Some("EventSource") {
            let url = presentable_text(request.request.url);
            self.in_flight.insert(request.request_id, (url, session));
        }
        self.count_idle(now);
    }

    fn response(&mut self, event: &RawEvent, now: Instant) {
        let Some(received) = event.read::<ResponseReceived>() else { return };
        self.judge(&received.response);
        self.network.answered(&received.request_id, &received.response, received.timestamp);
        if received.kind.as_deref() == Some("EventSource") {
            self.in_flight.remove(&received.request_id);
            self.count_idle(now);
        }
        let is_main = received.kind.as_deref() == Some("Document")
            && received.frame_id.as_deref() == Some(&self.main_frame);
        if is_main {
            self.answered = true;
            self.facts.document = Some(received.response.into_document());
        }
    }

    /// Remember when something came from an address that policy denies.
    fn judge(&mut self, response: &Response) {
        let Some(address) = &response.remote_ip_address else { return };
        let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() else { return };
        if self.forbidden.is_none()
            && let Some(why) = self.policy.denied(address, response.remote_port)
        {
            let url = cut(presentable_text(response.url.clone()), ADDRESS_LIMIT);
            self.forbidden = Some(format!("{url} came from {address}: {why}"));
        }
    }

    /// The browser does not tell which address a web socket was connected to: an address in its
    /// URL is judged as soon as it is asked for.
    fn web_socket(&mut self, event: &RawEvent) {
        let Some(created) = event.read::<WebSocketCreated>() else { return };
        let Ok(url) = created.url.parse::<url::Url>() else { return };
        if self.forbidden.is_none()
            && let Some(why) = self.policy.denied_url(&url)
        {
            let url = cut(presentable_text(created.url), ADDRESS_LIMIT);
            self.forbidden = Some(format!("{url} was asked for: {why}"));
        }
    }

    fn request_ended(&mut self, event: &RawEvent, now: Instant) {
        let Some(ended) = event.read::<LoadingEnded>() else { return };
        let length = ended.encoded_data_length;
        self.network.ended(&ended.request_id, length, None, ended.timestamp);
        self.in_flight.remove(&ended.request_id);
        self.count_idle(now);
    }

    fn request_failed(&mut self, event: &RawEvent, now: Instant) {
        let Some(ended) = event.read::<LoadingEnded>() else { return };
        let (url, _) = self.in_flight.remove(&ended.request_id).unwrap_or_default();
        let error = ended.blocked_reason.or(ended.error_text).unwrap_or_default();
        self.network.ended(&ended.request_id, None, Some(&error), ended.timestamp);
        // The request of a document has its document's id.
        if ended.request_id == self.loader && is_cut_short(&error) {
            self.cut_short = Some(error.clone());
        }
        if self.facts.failed_requests.len() < FAILED_LIMIT {
            self.facts.failed_requests.push(FailedRequest { url, error });
        }
        self.count_idle(now);
    }

    fn count_idle(&mut self, now: Instant) {
        for (since, most) in self.idle_since.iter_mut().zip([0, 2]) {
            if self.in_flight.len() > most {
                *since = None;
            } else {
                since.get_or_insert(now);
            }
        }
    }

    fn navigated(&mut self, event: &RawEvent, now: Instant) {
        let Some(navigated) = event.read::<FrameNavigated>() else { return };
        let frame = navigated.frame;
        if frame.id != self.main_frame {
            return;
        }
        let url = frame.url + &frame.url_fragment.unwrap_or_default();
        self.judge_host(&url);
        self.facts.final_url = Some(presentable_text(url));
        self.begun_silenced |= self.silenced;
        if self.loader != frame.loader_id {
            self.loader.clone_from(&frame.loader_id);
            self.expect_document(now);
        }
        self.committed.push(frame.loader_id);
    }

    fn navigated_within(&mut self, event: &RawEvent) {
        let Some(navigated) = event.read::<NavigatedWithin>() else { return };
        if navigated.frame_id == self.main_frame {
            self.facts.final_url = Some(presentable_text(navigated.url));
        }
    }

    fn lifecycle(&mut self, event: &RawEvent, now: Instant) {
        let Some(lifecycle) = event.read::<Lifecycle>() else { return };
        if lifecycle.frame_id != self.main_frame {
            return;
        }
        if self.loader.is_empty() {
            self.loader.clone_from(&lifecycle.loader_id);
        }
        match lifecycle.name.as_str() {
            // The document is about to begin: what is known of the one before it is void.
            "init" => {
                self.loader = lifecycle.loader_id;
                self.expect_document(now);
            }
            "DOMContentLoaded" if lifecycle.loader_id == self.loader => {
                self.dom_content_loaded = true;
            }
            "load" if lifecycle.loader_id == self.loader => self.loaded = true,
            _ => {}
        }
    }

    fn dialog(&mut self, event: &RawEvent) -> Reaction {
        let Some(opening) = event.read::<DialogOpening>() else {
            return Reaction::AnswerDialog(false);
        };
        // Leaving a page is never refused; everything else is not agreed to.
        let accepted = matches!(opening.kind.as_str(), "beforeunload" | "alert");
        if self.facts.dialogs.len() < DIALOG_LIMIT {
            let message = cut(opening.message, TEXT_LIMIT);
            self.facts.dialogs.push(Dialog { kind: opening.kind, message, accepted });
        }
        Reaction::AnswerDialog(accepted)
    }

    fn window_open(&mut self, event: &RawEvent) {
        let Some(opened) = event.read::<WindowOpen>() else { return };
        if self.facts.popups.len() < DIALOG_LIMIT {
            self.facts.popups.push(presentable_text(opened.url));
        }
    }
}

mod console;
mod intercepted;
mod leading;
#[cfg(test)]
mod tests;
