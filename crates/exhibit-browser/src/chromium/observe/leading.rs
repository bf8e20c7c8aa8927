//! Owns what is kept of where a page leads by itself: the navigations it began, by script, by its head
//! or by its server, and the one it has announced and not begun.

use super::super::events::{NavigationCleared, NavigationRequested, NavigationScheduled};
use super::super::pipe::RawEvent;
use super::Observed;
use crate::backend::{Leading, Led};
use crate::settings::presentable_text;

/// Most navigations kept.
const LIMIT: usize = 100;

impl Observed {
    pub(super) fn navigation_scheduled(&mut self, event: &RawEvent) {
        let Some(scheduled) = event.read::<NavigationScheduled>() else { return };
        if scheduled.frame_id == self.main_frame {
            let url = presentable_text(scheduled.url);
            let by = by(&scheduled.reason);
            self.facts.pending_navigation = Some(Leading { url, by, after_s: scheduled.delay });
        }
    }

    pub(super) fn navigation_cleared(&mut self, event: &RawEvent) {
        let cleared = event.read::<NavigationCleared>();
        if cleared.is_some_and(|cleared| cleared.frame_id == self.main_frame) {
            self.facts.pending_navigation = None;
        }
    }

    pub(super) fn navigation_requested(&mut self, event: &RawEvent) {
        let Some(requested) = event.read::<NavigationRequested>() else { return };
        if requested.frame_id == self.main_frame && self.facts.led.len() < LIMIT {
            let url = presentable_text(requested.url);
            self.facts.led.push(Led { url, by: by(&requested.reason) });
        }
    }
}

/// What began a navigation, by the browser's word for it.
fn by(reason: &str) -> &'static str {
    match reason {
        "metaTagRefresh" => "meta_refresh",
        "httpHeaderRefresh" => "refresh_header",
        "scriptInitiated" => "script",
        "formSubmissionGet" | "formSubmissionPost" => "form",
        "anchorClick" => "link",
        "reload" => "reload",
        _ => "page",
    }
}
