//! Owns what is different between two captures: in words, from their accessibility trees, and in
//! pixels, from their pictures as they were taken. All of it is computed anew from the files of the
//! folder, within bounds, and says from which.

use std::fmt;

use serde::Serialize;

use super::embed::picture_type;
use super::source::Source;
use super::story::EventFiles;
use super::text::{count, text};
use crate::compare::{Bitmap, CompareError, MOST_REGIONS, Region, boxes, compare_within};
use crate::pack;
use crate::words::{PageWords, Words};

/// PixelCounts of one picture, and of all that are compared for one report.
const PIXELS: (u64, u64) = (12_000_000, 40_000_000);
/// Bytes of one accessibility tree, and of all that are unpacked for one report.
const TREES: (u64, u64) = (32 << 20, 128 << 20);
/// How different two pixels must be: what `/diff` takes when it is not told.
const THRESHOLD: f64 = 0.1;

/// What may still be compared.
#[derive(Debug)]
pub(super) struct Budget {
    pixels: u64,
    trees: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { pixels: PIXELS.1, trees: TREES.1 }
    }
}

/// What is different between two captures.
#[derive(Debug)]
pub(super) struct Changes {
    /// The difference in words, or why there are none.
    pub(super) words: Result<Words, String>,
    /// The difference in pixels, or why there is none.
    pub(super) pixels: Result<PixelCounts, String>,
    /// What one should know of it.
    pub(super) notes: Vec<String>,
    /// The files it was computed from.
    pub(super) files: Vec<String>,
    /// Files among those it is computed from that are not what was recorded, each with what is wrong.
    pub(super) wrong: Vec<(String, &'static str)>,
    /// The picture after with outlines, until somebody takes it.
    pub(super) outlined: Option<Bitmap>,
}

/// The difference of two pictures in numbers.
#[derive(Debug, Serialize)]
pub(super) struct PixelCounts {
    changed_pixels: u64,
    total_pixels: u64,
    changed_pct: f64,
    threshold: f64,
    /// Boxes around what changed, few and with a margin.
    boxes: Vec<Region>,
    /// Whether there are more places than are looked at.
    more: bool,
    /// Width and height before and after.
    sizes: [(u32, u32); 2],
}

impl Changes {
    /// Compare two captures; `at_hand` are their pictures, where they were read already.
    pub(super) fn between(
        source: &mut Source,
        budget: &mut Budget,
        told: [&EventFiles; 2],
        at_hand: [Option<&[u8]>; 2],
    ) -> Self {
        let mut files = Vec::new();
        let words = words(source, budget, told, &mut files);
        let (mut outlined, mut notes) = (None, notes(told));
        let pixels = pictures(source, told, at_hand)
            .and_then(|pictures| pixels(budget, &pictures, &mut outlined));
        if pixels.is_ok() {
            files.extend(told.into_iter().filter_map(EventFiles::picture).map(text));
        }
        if let Ok(words) = &words {
            notes.extend(reservations(words));
        }
        let wrong = wrong(source, told);
        Self { words, pixels, notes, files, wrong, outlined }
    }

    /// That the difference is not one of what was recorded, for those who get it without marks.
    pub(super) fn warning(&self) -> Option<String> {
        let files = self.wrong.iter().map(|(file, mark)| format!("{file}: {mark}."));
        let files: Vec<String> = files.collect();
        (!files.is_empty()).then(|| {
            format!("This difference is not one of what was recorded. {}", files.join(" "))
        })
    }

    /// The words, one sentence each; none where they say the same or are not to be had.
    pub(super) fn sentences(&self) -> Vec<String> {
        self.words.iter().flat_map(|words| &words.changes).map(ToString::to_string).collect()
    }

    /// What is said when there is no difference in words, or no word.
    pub(super) fn silence(&self) -> Option<String> {
        match &self.words {
            Ok(words) if words.is_empty() => Some("The pages say the same in words.".to_owned()),
            Ok(_) => None,
            Err(why) => Some(why.clone()),
        }
    }

    /// The numbers in a sentence or two.
    pub(super) fn counted(&self) -> String {
        match &self.pixels {
            Ok(pixels) => pixels.to_string(),
            Err(why) => why.clone(),
        }
    }
}

/// The pictures and trees of two captures that are not what was recorded, each with what is wrong.
fn wrong(source: &mut Source, told: [&EventFiles; 2]) -> Vec<(String, &'static str)> {
    let files = told.into_iter().flat_map(|told| told.picture().into_iter().chain(told.tree()));
    let marks = files.map(|file| (text(file), source.whole(file).mark()));
    marks.filter(|(_, mark)| !mark.is_empty()).collect()
}

/// What one should know of two captures before comparing them.
fn notes(told: [&EventFiles; 2]) -> Vec<String> {
    let [before, after] = told.map(|told| told.get("final_url"));
    let mut notes = Vec::new();
    if before != after {
        notes.push(format!("These are two addresses: {before} before and {after} after."));
    }
    for told in told {
        let altered = told.get("altered_by");
        if !altered.is_empty() {
            let name = told.get("capture");
            notes.push(format!("{name} is an altered view: {altered}."));
        }
    }
    notes
}

/// Where the words are not the whole of it.
fn reservations(words: &Words) -> Vec<String> {
    let mut notes = Vec::new();
    if words.untold > 0 {
        let more = count(words.untold as u64, "further difference");
        let are = if words.untold == 1 { "is" } else { "are" };
        notes.push(format!("{more} {are} not told here."));
    }
    if words.is_cut {
        let cut =
            "A page is too large to be compared to its end: what lies beyond was not looked at.";
        notes.push(cut.to_owned());
    }
    notes
}

fn words(
    source: &mut Source,
    budget: &mut Budget,
    told: [&EventFiles; 2],
    files: &mut Vec<String>,
) -> Result<Words, String> {
    let mut pages = Vec::new();
    for told in told {
        let name = told.get("capture");
        let file = told.tree().map(str::to_owned).ok_or_else(|| {
            format!("There are no words: {name} was kept without an accessibility tree.")
        })?;
        let limit = budget.trees.min(TREES.0);
        let cannot = |why: &str| format!("There are no words: {} {why}.", text(&file));
        let packed = source.read(&file, limit).ok_or_else(|| cannot("cannot be read"))?;
        let json = pack::decompress(&packed, limit)
            .map_err(|_| cannot("cannot be unpacked, or is too large to be compared here"))?;
        budget.trees = budget.trees.saturating_sub(json.len() as u64);
        pages.push(
            PageWords::read(&json).map_err(|error| cannot(&format!("is unreadable: {error}")))?,
        );
        files.push(text(&file));
    }
    Ok(Words::between(&pages[0], &pages[1]))
}

type Pictures<'a> = [std::borrow::Cow<'a, [u8]>; 2];

fn pictures<'a>(
    source: &mut Source,
    told: [&EventFiles; 2],
    at_hand: [Option<&'a [u8]>; 2],
) -> Result<Pictures<'a>, String> {
    let mut picture = |told: &EventFiles, at_hand: Option<&'a [u8]>| {
        let name = told.get("capture");
        let path = told.picture().ok_or_else(|| format!("{name} has no picture."))?;
        if picture_type(path) != Some("image/png") {
            return Err(format!("The pixels are not compared: the picture of {name} is no PNG."));
        }
        if let Some(bytes) = at_hand {
            return Ok(bytes.into());
        }
        let bytes = source.read(path, 64 << 20);
        let why = || format!("The pixels are not compared: {} cannot be read.", text(path));
        bytes.map(Into::into).ok_or_else(why)
    };
    Ok([picture(told[0], at_hand[0])?, picture(told[1], at_hand[1])?])
}

fn pixels(
    budget: &mut Budget,
    pictures: &Pictures,
    outlined: &mut Option<Bitmap>,
) -> Result<PixelCounts, String> {
    let limit = budget.pixels.min(PIXELS.0);
    let why = |error: CompareError| match error {
        CompareError::TooLarge { .. } => {
            "The pixels are not compared: the pictures are too large for it here.".to_owned()
        }
        error => format!("The pixels are not compared: {error}."),
    };
    let before = Bitmap::from_png(&pictures[0], limit).map_err(why)?;
    let mut after = Bitmap::from_png(&pictures[1], limit).map_err(why)?;
    let found = compare_within(&before, &after, THRESHOLD, limit).map_err(why)?;
    budget.pixels = budget.pixels.saturating_sub(found.total_pixels);
    let sizes = [&before, &after].map(|picture| (picture.width(), picture.height()));
    let boxes = boxes(&found.regions, after.width(), after.height());
    if !boxes.is_empty() {
        after.outline(&boxes);
        *outlined = Some(after);
    }
    Ok(PixelCounts {
        changed_pixels: found.changed_pixels,
        total_pixels: found.total_pixels,
        changed_pct: found.changed_percent(),
        threshold: THRESHOLD,
        boxes,
        more: found.regions.len() >= MOST_REGIONS,
        sizes,
    })
}

impl fmt::Display for PixelCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = self.sizes.map(|(width, height)| format!("{width} × {height}"));
        if self.changed_pixels == 0 {
            f.write_str("No pixel of the pictures changed.")?;
        } else {
            let places = count(self.boxes.len() as u64, "place");
            let Self { changed_pixels, total_pixels, changed_pct, .. } = self;
            write!(
                f,
                "{changed_pixels} of {total_pixels} pixels changed ({changed_pct} %), in {places}."
            )?;
        }
        if self.more {
            write!(f, " There are more; these are the largest.")?;
        }
        if before != after {
            write!(
                f,
                " The pictures are of unlike size, {before} before and {after} after: where only \
                 one of them has pixels, these count as changed."
            )?;
        }
        Ok(())
    }
}
