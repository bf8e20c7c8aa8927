//! Owns what is kept from loading on request, and what is hidden.
//!
//! A caller names lists (`ads`, `trackers`, `banners`, `chats`), address patterns and kinds of
//! resources; [`Blocking::judge`] says of one request whether it is blocked and why, for the record.
//! It knows no browser: whoever drives one asks, and acts.
//!
//! Three things are never blocked: the page's own document, an address that cannot be read, and
//! whatever nobody asked to be blocked.

mod list;
mod resource;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use adblock::request::Request;
use url::Url;

pub use list::List;
pub use resource::Resource;

/// What a caller wants blocked. Nothing, unless said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocking {
    /// Advertising networks (`blockAds`).
    pub ads: bool,
    /// Analytics and other trackers (`blockTrackers`).
    pub trackers: bool,
    /// Cookie consent banners (`blockBanners`).
    pub banners: bool,
    /// Chat widgets (`blockChats`).
    pub chats: bool,
    /// Patterns of addresses (`blockRequests`), see [`matches()`].
    pub requests: Vec<String>,
    /// Kinds of resources (`blockResources`).
    pub resources: Vec<Resource>,
}

/// Why a request was blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// An embedded list names it.
    List(List),
    /// It matches this pattern of the caller.
    Request(String),
    /// It is of a kind the caller named.
    Resource(Resource),
}

impl Blocking {
    /// Is there nothing to block?
    pub fn is_empty(&self) -> bool {
        self.lists().next().is_none() && self.requests.is_empty() && self.resources.is_empty()
    }

    /// Says whether a request is blocked, and why.
    ///
    /// `source_url` is the address of the document that asks: the lists mostly name third parties,
    /// which a company's own pages are not.
    /// The kind is asked first, then the caller's patterns, then the lists.
    pub fn judge(&self, url: &str, source_url: &str, kind: Resource) -> Option<Why> {
        if kind == Resource::Document || Url::parse(url).is_err() {
            return None;
        }
        if self.resources.contains(&kind) {
            return Some(Why::Resource(kind));
        }
        if let Some(pattern) = self.requests.iter().find(|pattern| matches(pattern, url)) {
            return Some(Why::Request(pattern.clone()));
        }
        self.listed(url, source_url, kind).map(Why::List)
    }

    /// The CSS selectors to hide on this page, sorted and each once.
    /// Join them as rules of their own, not with commas: a browser that does not know one of them
    /// would drop them all.
    pub fn hidden_selectors(&self, url: &str) -> Vec<String> {
        let mut selectors = BTreeSet::new();
        if Url::parse(url).is_ok() {
            self.lists().for_each(|list| list.hide(url, &mut selectors));
        }
        selectors.into_iter().collect()
    }

    fn listed(&self, url: &str, source_url: &str, kind: Resource) -> Option<List> {
        let mut lists = self.lists().peekable();
        lists.peek()?;
        let request = Request::new(url, source_url, kind.engine_word(), "get").ok()?;
        lists.find(|list| list.blocks(&request))
    }

    fn lists(&self) -> impl Iterator<Item = List> {
        List::ALL.into_iter().filter(|list| match list {
            List::Ads => self.ads,
            List::Trackers => self.trackers,
            List::Banners => self.banners,
            List::Chats => self.chats,
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(list) => list.fmt(f),
            Self::Request(pattern) => write!(f, "blockRequests: {pattern}"),
            Self::Resource(kind) => write!(f, "blockResources: {kind}"),
        }
    }
}

/// Does this address match this pattern?
///
/// The rule is the one of Chromium's `Network.setBlockedURLs` with `urls`: "URL patterns to block.
/// Wildcards ('*') are allowed", and in Chromium's `inspector_network_agent.cc`: "Pattern may
/// contain stars ('*') which match to any (possibly empty) string. Stars implicitly assumed at the
/// begin/end of pattern."
/// So a pattern without a star is looked for anywhere in the address, and case counts.
/// One thing differs: an empty pattern, which blocks everything there, matches nothing here.
pub fn matches(pattern: &str, url: &str) -> bool {
    let mut rest = url;
    for part in pattern.split('*') {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    !pattern.is_empty()
}
