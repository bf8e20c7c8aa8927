//! Owns which captures are set side by side, before and after: what was compared during the run,
//! and each page that was seen in both stages. Each capture stands in few pairs, so that many
//! captures are not compared each with each.

use super::changes::{Budget, Changes};
use super::embed::{Embedded, EmbeddedPicture, Room};
use super::source::Source;
use super::story::{EventFiles, Story};
use super::text::{moment, spoken};

/// Most pairs that are shown.
const MOST: usize = 8;

/// Two captures by their places in the story, the one before first.
pub(super) type Places = (usize, usize);

/// Two pictures side by side, and what is different between them.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) number: usize,
    pub(super) before: Side,
    pub(super) after: Side,
    pub(super) changes: Changes,
    /// The picture after, with what changed outlined.
    pub(super) outlined: Option<Embedded>,
}

/// One of the two.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) time: String,
    pub(super) picture: EmbeddedPicture,
    /// The status of an error page; empty of any other.
    pub(super) error_page: String,
    /// The anchor of the same capture where it is shown with its caption; empty where it is not.
    pub(super) captioned: String,
    pub(super) place: usize,
}

/// Choose the pairs: what was compared, then of each page its first picture before and its last one
/// after; where there is neither, the first picture before and the last one after. And how many
/// more there would be.
pub(super) fn choose(story: &Story) -> (Vec<Places>, usize) {
    let mut pairs: Vec<Places> = Vec::new();
    let mut add = |pair: Places| {
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    };
    let places = |stage: &str| {
        let staged = |(_, told): &(usize, &EventFiles)| {
            told.get("stage") == stage && told.picture().is_some()
        };
        let captures = story.captures.iter().enumerate().filter(staged);
        captures.map(|(place, told)| (place, page(told))).collect::<Vec<_>>()
    };
    let named = |name: &str| {
        story
            .captures
            .iter()
            .position(|told| told.get("capture") == name && told.picture().is_some())
    };
    let compared = story.comparisons.iter().filter_map(|told| {
        let side = |name: &str| named(&spoken(&told.data.get(name)?["capture"]));
        Some((side("before")?, side("after")?))
    });
    compared.for_each(&mut add);
    let (befores, afters) = (places("before"), places("after"));
    let mut last = std::collections::HashMap::new();
    last.extend(afters.iter().map(|(place, page)| (page, *place)));
    for (place, page) in &befores {
        // The first capture of a page takes its partner away.
        if let Some(after) = last.remove(page) {
            add((*place, after));
        }
    }
    if let (true, Some(before), Some(after)) = (pairs.is_empty(), befores.first(), afters.last()) {
        pairs.push((before.0, after.0));
    }
    let left_out = pairs.len().saturating_sub(MOST);
    pairs.truncate(MOST);
    (pairs, left_out)
}

/// Which page a capture shows: its address without what only leads to a place in it; a page without
/// an address of its own by its title.
fn page(told: &EventFiles) -> String {
    let address = told.get("final_url");
    let address = address.split('#').next().unwrap_or_default();
    if address.is_empty() || address.starts_with("about:") {
        return format!("{address} {}", told.get("title"));
    }
    address.to_owned()
}

/// The pairs as they are shown, and how many more there would be.
pub(super) fn pairs(source: &mut Source, room: &mut Room, story: &Story) -> (Vec<Pair>, usize) {
    let (chosen, left_out) = choose(story);
    let mut budget = Budget::default();
    let mut pairs = Vec::new();
    for (before, after) in chosen {
        let mut side = |place: usize| {
            let told = &story.captures[place];
            let picture = room.picture(source, told.picture()?)?;
            let (_, time) = moment(&told.time);
            let (name, title) = (told.get("capture"), told.get("title"));
            let captioned = told.captioned();
            let error_page = told.error_page().unwrap_or_default();
            Some(Side { name, title, time, picture, error_page, captioned, place })
        };
        let (Some(before), Some(after)) = (side(before), side(after)) else { continue };
        let told = [&before, &after].map(|side| &story.captures[side.place]);
        let at_hand =
            [&before, &after].map(|side| side.picture.whole.as_ref().map(Embedded::bytes));
        let mut changes = Changes::between(source, &mut budget, told, at_hand);
        let outlined = changes.outlined.take().and_then(|picture| picture.to_png().ok());
        let outlined = outlined.and_then(|png| room.made(png));
        pairs.push(Pair { number: pairs.len() + 1, before, after, changes, outlined });
    }
    (pairs, left_out)
}
