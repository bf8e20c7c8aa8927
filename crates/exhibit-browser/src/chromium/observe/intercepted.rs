//! Owns what becomes of requests that wait for us: sent or kept from being sent, and the one answer that
//! is taken from the browser.

use super::super::events::RequestPaused;
use super::super::pipe::RawEvent;
use super::{FAILED_LIMIT, Observed, Reaction};
use crate::backend::Blocked;
use crate::blocking::Resource;
use crate::settings::presentable_text;

/// The taking of an answer from the browser.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::chromium) enum Catching {
    /// None is to be taken.
    #[default]
    No,
    /// It has not come.
    Waiting,
    /// The request, as it waits for what becomes of its answer.
    Caught(String),
}

impl Observed {
    /// Judge a request that waits for it.
    pub(super) fn paused(&mut self, event: &RawEvent) -> Reaction {
        let Some(paused) = event.read::<RequestPaused>() else { return Reaction::None };
        if paused.response_status_code.is_some() || paused.response_error_reason.is_some() {
            return self.answer_paused(paused);
        }
        let page = self.address();
        let mut kind = Resource::from_protocol(&paused.resource_type);
        if paused.frame_id.as_deref() != Some(&self.main_frame) {
            kind = kind.in_frame();
        }
        let why = self.blocking.judge(&paused.request.url, page, kind);
        let id = paused.request_id;
        let Some(why) = why else { return Reaction::LetLoad(id) };
        self.facts.blocked_requests += 1;
        if self.facts.blocked.len() < FAILED_LIMIT {
            let url = presentable_text(paused.request.url);
            self.facts.blocked.push(Blocked { url, by: why.to_string() });
        }
        Reaction::Block(id)
    }

    /// Catch the answer that is waited for, and let any other go on.
    fn answer_paused(&mut self, paused: RequestPaused) -> Reaction {
        let id = paused.request_id;
        let there = paused.response_status_code.is_some_and(|status| (200..300).contains(&status));
        let own = paused.frame_id.as_deref() == Some(&self.main_frame);
        if there && own && self.catching == Catching::Waiting {
            self.catching = Catching::Caught(id);
            return Reaction::None;
        }
        Reaction::LetLoad(id)
    }
}
