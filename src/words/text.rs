//! Owns the handling of plain text: tidied, joined, cut to a label, compared, hashed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Longest text that stands for what follows it, in characters.
const LABEL: usize = 60;

/// `text` without line breaks, and without more than one space anywhere.
pub(super) fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `noun` at the beginning of a line.
pub(super) fn capital(noun: &str) -> String {
    let mut letters = noun.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Pieces as one text. Where the page leaves no space between two, it shows one nevertheless, unless
/// the next begins with a mark.
pub(super) fn joined(pieces: &[String]) -> String {
    let mut text = String::new();
    for piece in pieces {
        let closes = piece.starts_with([',', '.', ';', ':', '!', '?', ')', '…']);
        if !text.is_empty() && !closes && !text.ends_with(['(', '“']) {
            text.push(' ');
        }
        text.push_str(piece);
    }
    tidy(&text)
}

/// What names the value after it: short enough, and without the colon at its end.
pub(super) fn as_label(text: &str) -> Option<String> {
    let text = tidy(text);
    let text = text.trim_end_matches([':', ' ', '=', '–', '-']);
    let fits = text.chars().any(char::is_alphanumeric) && text.chars().count() <= LABEL;
    fits.then(|| text.to_owned())
}

pub(super) fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// How many bytes two texts have in common at their beginning, and how many the second has beyond.
pub(super) fn common_bytes(one: &str, other: &str) -> (usize, usize) {
    let pairs = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let common = pairs.map(|(letter, _)| letter.len_utf8()).sum();
    (common, other.len() - common)
}
