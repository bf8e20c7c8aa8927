//! Owns the four lists that come with the program, and the engines built from them.
//!
//! A list is text in Adblock Plus syntax, embedded when the program is built.
//! Its engine is built the first time somebody asks, and shared by all threads from then on.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

use adblock::Engine;
use adblock::lists::{FilterSet, ParseOptions};
use adblock::request::Request;

/// One of the embedded lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// Advertising networks.
    Ads,
    /// Analytics, tag managers, session recorders, error trackers.
    Trackers,
    /// Cookie consent banners.
    Banners,
    /// Chat widgets.
    Chats,
}

/// A list ready to be asked.
struct Loaded {
    engine: Engine,
    /// The selectors that apply to every page, which the engine only gives out by class and id.
    generic: Vec<&'static str>,
}

static ADS: OnceLock<Loaded> = OnceLock::new();
static TRACKERS: OnceLock<Loaded> = OnceLock::new();
static BANNERS: OnceLock<Loaded> = OnceLock::new();
static CHATS: OnceLock<Loaded> = OnceLock::new();

impl List {
    /// All of them, in the order they are asked.
    pub const ALL: [Self; 4] = [Self::Ads, Self::Trackers, Self::Banners, Self::Chats];

    /// The day the lists were compiled, as their headers say.
    pub const DATE: &str = "2026-11-24";

    /// The word the record uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ads => "ads",
            Self::Trackers => "trackers",
            Self::Banners => "banners",
            Self::Chats => "chats",
        }
    }

    /// The whole list, as embedded.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ads => include_str!("lists/ads.txt"),
            Self::Trackers => include_str!("lists/trackers.txt"),
            Self::Banners => include_str!("lists/banners.txt"),
            Self::Chats => include_str!("lists/chats.txt"),
        }
    }

    /// The rules, without the header.
    pub fn rules(self) -> impl Iterator<Item = &'static str> {
        self.text().lines().filter(|line| !line.starts_with('!'))
    }

    /// Does the list name this request?
    pub(super) fn blocks(self, request: &Request) -> bool {
        self.loaded().engine.check_network_request(request).should_block()
    }

    /// Adds what the list hides on this page.
    pub(super) fn hide(self, url: &str, selectors: &mut BTreeSet<String>) {
        let loaded = self.loaded();
        let page = loaded.engine.url_cosmetic_resources(url);
        if !page.generichide {
            let kept = loaded.generic.iter().filter(|s| !page.exceptions.contains(**s));
            selectors.extend(kept.map(ToString::to_string));
        }
        selectors.extend(page.hide_selectors);
    }

    fn loaded(self) -> &'static Loaded {
        let slot = match self {
            Self::Ads => &ADS,
            Self::Trackers => &TRACKERS,
            Self::Banners => &BANNERS,
            Self::Chats => &CHATS,
        };
        slot.get_or_init(|| self.load())
    }

    fn load(self) -> Loaded {
        let mut rules = FilterSet::new(false);
        rules.add_filter_list(self.text().to_owned(), ParseOptions::default());
        Loaded {
            engine: Engine::new_with_filter_set(rules),
            generic: self.rules().filter_map(|rule| rule.strip_prefix("##")).collect(),
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
