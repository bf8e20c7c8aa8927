//! Owns what is different between two pages, in words for somebody who reads no code: "Role of
//! alice: Viewer → Admin", "New row: bob, Editor". It compares what the pages say to those who
//! cannot see them, their accessibility trees, and nothing of how they look. Takes bytes and gives
//! sentences; its work grows with the size of the trees and no faster.

mod change;
mod control;
mod item;
mod kind;
mod matching;
mod page;
mod table;
mod text;
mod tree;

use std::collections::HashMap;

use serde::Serialize;

pub use self::change::{Became, Change};
use self::item::Item;
use self::kind::ItemKind;
use self::matching::{Matching, Sign};
pub use self::page::PageWords;
pub use self::tree::WordsError;

/// Most differences that are told.
pub const MOST: usize = 200;
/// Most things of which it is told that they stand in another place.
const MOST_MOVED: usize = 20;

/// What is different between two pages.
#[derive(Debug, Default, Serialize)]
pub struct Words {
    /// The differences, in the order of the second page.
    pub changes: Vec<Change>,
    /// Differences beyond [`MOST`].
    pub untold: usize,
    /// Whether a page was too large to be read to its end.
    #[serde(rename = "cut")]
    pub is_cut: bool,
}

impl Words {
    /// Whether the pages say the same, as far as they were read.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Compare two pages.
    pub fn between(before: &PageWords, after: &PageWords) -> Self {
        let signs = |page: &PageWords| page.items.iter().map(Item::sign).collect::<Vec<Sign>>();
        let matching = Matching::of(&signs(before), &signs(after));
        let tables =
            |page: &PageWords| page.items.iter().filter(|item| item.table.is_some()).count();
        let several = tables(before).max(tables(after)) > 1;
        let implied = [(before, &matching.forward), (after, &matching.back)];
        let implied = implied.map(|(page, partners)| implied_by_a_choice(page, partners));
        let mut words = Self { is_cut: before.is_cut || after.is_cut, ..Self::default() };
        let mut seen = HashMap::new();
        let mut gone = before.items.iter().zip(&matching.forward).enumerate().peekable();
        // What went is told where it stood: after the partner of what stood before it.
        let mut tell_gone = |words: &mut Self, seen: &mut _, upto: usize| {
            while let Some((place, (item, partner))) = gone.peek() {
                if *place > upto {
                    return;
                }
                if partner.is_none() && !implied[0][*place] {
                    words.say(seen, Change::removed(&item.noun(), &item.described()));
                }
                gone.next();
            }
        };
        for (place, (item, partner)) in after.items.iter().zip(&matching.back).enumerate() {
            match partner {
                None if implied[1][place] => {}
                None => words.say(&mut seen, Change::added(&item.noun(), &item.described())),
                Some(partner) => {
                    tell_gone(&mut words, &mut seen, *partner);
                    for change in changes(&before.items[*partner], item, several) {
                        words.say(&mut seen, change);
                    }
                }
            }
        }
        tell_gone(&mut words, &mut seen, before.items.len());
        for place in matching.moved().into_iter().take(MOST_MOVED) {
            let item = &after.items[place];
            words.say(&mut seen, Change::moved(&item.noun(), &item.described()));
        }
        words.untold += matching.moved().len().saturating_sub(MOST_MOVED);
        words
    }

    /// Add a difference; one that is told already is counted there.
    fn say(&mut self, seen: &mut HashMap<Change, usize>, change: Change) {
        if let Some(place) = seen.get(&change) {
            self.changes[*place].times += 1;
        } else if self.changes.len() < MOST {
            seen.insert(change.clone(), self.changes.len());
            self.changes.push(change);
        } else {
            self.untold += 1;
        }
    }
}

/// Which options came or went with all of their list.
fn implied_by_a_choice(page: &PageWords, partners: &[Option<usize>]) -> Vec<bool> {
    let mut alone = false;
    let of = |(item, partner): (&Item, &Option<usize>)| {
        if item.kind == ItemKind::Choice {
            alone = partner.is_none();
        }
        alone && item.kind == ItemKind::Option
    };
    page.items.iter().zip(partners).map(of).collect()
}

/// What is different between two that are the same thing.
fn changes(before: &Item, after: &Item, several_tables: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if let (Some(old), Some(new)) = (&before.table, &after.table) {
        let called = if after.name.is_empty() { &after.under } else { &after.name };
        let place = match (several_tables, called.is_empty()) {
            (true, false) => format!(" in {called}"),
            _ => String::new(),
        };
        changes.extend(old.changes(new, &place));
    }
    if before.name != after.name {
        let noun = text::capital(after.kind.noun());
        changes.push(Change::changed(&noun, &before.name, &after.name));
    }
    for (name, now) in &after.states {
        let was = before.states.iter().find(|(other, _)| other == name);
        let was = was.map_or("", |(_, word)| word);
        if was != now {
            changes.push(Change::changed(&after.subject(), was, now));
        }
    }
    if before.text() != after.text() {
        changes.push(before.text_change(after));
    }
    changes
}

#[cfg(test)]
mod tests;
