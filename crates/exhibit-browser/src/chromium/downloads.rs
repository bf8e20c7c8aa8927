//! Owns what a page was kept from downloading. The browser refuses each download, and no other record
//! of it exists: of one that a link asks for, not even the request is told of.

use serde::Deserialize;

use super::cut::cut;
use super::pipe::RawEvent;
use crate::backend::Download;
use crate::settings::presentable_text;

/// Most downloads kept until they are told of.
const LIMIT: usize = 100;
/// Longest address and name kept, in characters.
const TEXT: usize = 2_000;

/// The downloads of a page.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    /// The last that began since it was looked for.
    began: Option<Download>,
    /// Those that nobody has been told of yet.
    untold: Vec<Download>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Beginning {
    frame_id: String,
    url: String,
    #[serde(default)]
    suggested_filename: String,
}

impl Downloads {
    /// Look for what begins from now on.
    pub(super) fn expect(&mut self) {
        self.began = None;
    }

    /// What has begun since then.
    pub(super) fn began(&self) -> Option<&Download> {
        self.began.as_ref()
    }

    /// A download began, in the page itself or in a part of it.
    pub(super) fn note(&mut self, event: &RawEvent, of_page: bool) {
        let Some(Beginning { frame_id, url, suggested_filename }) = event.read() else { return };
        let (url, name) = (cut(presentable_text(url), TEXT), cut(suggested_filename, TEXT));
        self.add(Download { url, name, frame: frame_id }, of_page);
    }

    /// One more, in the page itself or in a part of it.
    pub(super) fn add(&mut self, download: Download, of_page: bool) {
        if of_page {
            self.began = Some(download.clone());
        }
        if self.untold.len() < LIMIT {
            self.untold.push(download);
        }
    }

    /// What nobody has been told of yet.
    pub(super) fn take(&mut self) -> Vec<Download> {
        std::mem::take(&mut self.untold)
    }
}
