//! Owns one difference in plain words. What a page says is quoted where it could be taken for ours,
//! is bounded, and cannot draw.

use std::fmt;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::text::{common_bytes, tidy};
use crate::shown::shown_within;

/// Most characters of a value, and of what it is a value of.
const VALUE: usize = 160;
const SUBJECT: usize = 120;
/// Characters that are shown of what two long values have in common before they differ.
const COMMON: usize = 30;
/// Most characters of a value that may stand without quotes.
const SHORT: usize = 40;

/// What became of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Became {
    /// It says something else.
    Changed,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It stands in another place.
    Moved,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    became: Became,
    subject: String,
    before: Option<String>,
    after: Option<String>,
    /// How often the pages differ so.
    pub(super) times: usize,
}

impl Change {
    pub(super) fn changed(subject: &str, before: &str, after: &str) -> Self {
        let (was, is) = from_the_difference(before, after);
        let (mut was, mut is) = (shown_within(&was, VALUE), shown_within(&is, VALUE));
        let seen =
            |text: &str| text.chars().filter(|letter| !is_unseen(*letter)).collect::<String>();
        if seen(&was) == seen(&is) {
            // Otherwise both would look the same.
            let spelled = |text: &str| -> String { text.chars().map(spelled_out).collect() };
            (was, is) =
                (shown_within(&spelled(before), VALUE), shown_within(&spelled(after), VALUE));
        }
        Self::new(Became::Changed, subject, Some(was), Some(is))
    }

    pub(super) fn added(what: &str, text: &str) -> Self {
        let text = shown_within(text, VALUE);
        Self::new(Became::Added, &format!("New {what}"), None, Some(text))
    }

    pub(super) fn removed(what: &str, text: &str) -> Self {
        let text = shown_within(text, VALUE);
        Self::new(Became::Removed, &format!("Removed {what}"), Some(text), None)
    }

    pub(super) fn moved(what: &str, text: &str) -> Self {
        let text = shown_within(text, VALUE);
        Self::new(Became::Moved, &format!("Moved {what}"), None, Some(text))
    }

    fn new(became: Became, subject: &str, before: Option<String>, after: Option<String>) -> Self {
        let mut subject = shown_within(subject, SUBJECT);
        if subject.contains(['→', '“', '”', '\\']) {
            subject = quoted(&subject);
        }
        Self { became, subject, before, after, times: 1 }
    }

    /// What became of it.
    pub fn became(&self) -> Became {
        self.became
    }

    /// What it is said of: `Role of alice`, `New row`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What it was, quoted where it must be; none for what is new.
    pub fn before(&self) -> Option<String> {
        self.before.as_deref().map(|text| self.value(text))
    }

    /// What it is, quoted where it must be; none for what is gone.
    pub fn after(&self) -> Option<String> {
        self.after.as_deref().map(|text| self.value(text))
    }

    /// A value as it stands in the sentence.
    fn value(&self, text: &str) -> String {
        let ours: &[char] = if self.became == Became::Changed { &[':', '('] } else { &[':'] };
        match text {
            "" => "(empty)".to_owned(),
            text if is_plain(text, ours) => text.to_owned(),
            text => quoted(text),
        }
    }

    /// How often it is so, where that is more than once.
    pub fn repeated(&self) -> Option<usize> {
        (self.times > 1).then_some(self.times)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.subject)?;
        match (self.before(), self.after()) {
            (Some(before), Some(after)) => write!(f, "{before} → {after}")?,
            (before, after) => f.write_str(&before.or(after).unwrap_or_default())?,
        }
        self.repeated().map_or(Ok(()), |times| write!(f, " ({times} times)"))
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let became = match self.became {
            Became::Changed => "changed",
            Became::Added => "added",
            Became::Removed => "removed",
            Became::Moved => "moved",
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("words", &self.to_string())?;
        map.serialize_entry("became", became)?;
        map.serialize_entry("subject", &self.subject)?;
        map.serialize_entry("before", &self.before)?;
        map.serialize_entry("after", &self.after)?;
        map.serialize_entry("times", &self.times)?;
        map.end()
    }
}

/// Whether a text may stand without quotes.
fn is_plain(text: &str, ours: &[char]) -> bool {
    let is_ours = text.contains(['→', '“', '”', '\\']) || text.contains(ours);
    text.chars().count() <= SHORT && !is_ours && !text.ends_with(" times)")
}

/// `text` in quotes that nothing in it can close.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("“");
    for letter in text.chars() {
        if matches!(letter, '“' | '”') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('”');
    quoted
}

/// Whether `letter` leaves no mark by itself (Unicode's Default_Ignorable_Code_Point).
fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// A letter as it is told apart from all that look like it.
fn spelled_out(letter: char) -> String {
    if letter.is_ascii() { letter.to_string() } else { letter.escape_unicode().to_string() }
}

/// Two values, cut at their beginning as far as they are alike, if they are long.
fn from_the_difference(before: &str, after: &str) -> (String, String) {
    let (before, after) = (tidy(before), tidy(after));
    if before.chars().count().max(after.chars().count()) <= VALUE {
        return (before, after);
    }
    let common = common_bytes(&before, &after).0;
    let back = before[..common].char_indices().rev().nth(COMMON - 1);
    match back {
        Some((at, _)) if at > 0 => (format!("…{}", &before[at..]), format!("…{}", &after[at..])),
        _ => (before, after),
    }
}
