//! Owns the forms in which a secret stands apart from its name, or several behind one: headers, lists
//! and objects, lines of YAML, options of programs, elements of XML.

use std::ops::Range;

use super::assigned::{NAME, Name, Scan};
use super::name::{self, SecretKind};
use super::value::{Bond, is_secret, looks_secret};

/// Longest list or object behind a name, in bytes.
const INSIDE: usize = 64 * 1024;
/// Where the quotation around a header ends at the latest, in bytes.
const HEADER: usize = 8 * 1024;
/// How many lines of a list behind a name are looked at.
const ITEMS: usize = 100;

impl Scan<'_> {
    /// A header's value, which goes on to the end of its line, or of the quotation around it.
    pub(super) fn header(&mut self, name: &Name<'_>, at: usize) {
        let opened = name.begin.checked_sub(1).map(|before| self.bytes[before]);
        let opened = opened.filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
        let line = self.line_end(at);
        let quote = self.bytes[at..line].iter().take(HEADER).position(|byte| Some(*byte) == opened);
        let end = quote.map_or(line, |quote| at + quote);
        // Whatever it is, it is judged once.
        self.until = end;
        let value = self.judged(at..end);
        if name.text.to_ascii_lowercase().ends_with("cookie") {
            if value.contains('=') {
                self.hit(at..end);
            }
            return;
        }
        let range = self.without_scheme(at..end);
        let value = self.judged(range.clone());
        let word = value.split_whitespace().next().unwrap_or_default();
        let sound = if range.start > at {
            is_secret(SecretKind::Secret, value, Bond::Strong)
        } else {
            looks_secret(word) || word.len() >= 20
        };
        if sound {
            self.hit(range);
        } else {
            // Prose, in which there may be more.
            self.until = at;
        }
    }

    /// Every value in a list or object behind the name of a secret, but for those that tell about it.
    pub(super) fn inside(&mut self, kind: SecretKind, at: usize) {
        let limit = self.bytes.len().min(at + INSIDE);
        let (mut depth, mut place, mut innocent, mut plain) = (0_usize, at, false, true);
        while place < limit {
            match self.bytes[place] {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'"' | b'\'' => {
                    plain = false;
                    let range = self.content(place);
                    let next = self.blanks(range.end + 1);
                    let is_key = self.byte(next) == b':';
                    let value = self.judged(range.clone());
                    if is_key {
                        innocent = name::is_innocent(value);
                    } else {
                        let kind =
                            if kind == SecretKind::Header { SecretKind::Secret } else { kind };
                        if !innocent && is_secret(kind, value, Bond::Strong) {
                            self.found.push(range.clone());
                        }
                        innocent = false;
                    }
                    place = range.end;
                }
                _ => {}
            }
            place += 1;
        }
        if plain {
            self.plain_list(kind, at + 1..place.min(limit));
        }
        self.until = self.until.max(place.min(limit));
    }

    /// Words between commas, without quotation marks.
    fn plain_list(&mut self, kind: SecretKind, range: Range<usize>) {
        let mut at = range.start;
        let Some(text) = self.text.get(range) else { return };
        for part in text.split(',') {
            let word = part.trim();
            let begin = at + (part.len() - part.trim_start().len());
            if is_secret(kind, word, Bond::Weak) {
                self.found.push(begin..begin + word.len());
            }
            at += part.len() + 1;
        }
    }

    /// The items of a list of YAML, which begins behind the line that ends at `at`; or the one value.
    pub(super) fn items(&mut self, kind: SecretKind, mut at: usize) {
        for _ in 0..ITEMS {
            while matches!(self.byte(at), b'\n' | b'\r') {
                at += 1;
            }
            let begin = self.blanks(at);
            let marked = self.bytes[begin..].starts_with(b"- ");
            if begin == at && !marked {
                return;
            }
            let begin = if marked { self.blanks(begin + 2) } else { begin };
            let range = self.content(begin);
            if !self.ends_line(range.end) {
                return;
            }
            at = self.line_end(range.end);
            if is_secret(kind, self.judged(range.clone()), Bond::Alone) {
                self.hit(range);
            }
            if !marked {
                return;
            }
        }
    }

    /// An option of a program at `at` whose argument stands behind it: `--password …`.
    pub(super) fn option(&mut self, at: usize) {
        let before = self.byte(at.wrapping_sub(1));
        if !(at == 0 || matches!(before, b' ' | b'\t' | b'\n' | b'"' | b'\'' | b'(' | b'[' | b','))
        {
            return;
        }
        let rest = &self.bytes[at..self.bytes.len().min(at + NAME)];
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            .count();
        if !name::is_option(&self.text[at..at + length]) {
            return;
        }
        let end = at + length;
        // `"--password", "…"` in a list of arguments.
        let listed = matches!(self.byte(end), b'"' | b'\'') && matches!(before, b'"' | b'\'');
        let mut start = self.blanks(if listed { end + 1 } else { end });
        if listed && self.byte(start) == b',' {
            start = self.blanks(start + 1);
        }
        if start == end || matches!(self.byte(start), b'-' | b'=' | b'[' | b'|' | b'>' | b'&' | 0) {
            return;
        }
        let range = self.content(start);
        // `openssl -passin pass:…`
        let value = &self.text[range.clone()];
        let range = range.end - value.strip_prefix("pass:").unwrap_or(value).len()..range.end;
        if is_secret(SecretKind::Secret, self.judged(range.clone()), Bond::Strong) {
            self.hit(range);
        }
    }

    /// An element of XML whose name is one of a secret, that opens before `at`.
    pub(super) fn element(&mut self, at: usize) {
        let floor = at.saturating_sub(NAME);
        let Some(open) = self.bytes[floor..at].iter().rposition(|byte| *byte == b'<') else {
            return;
        };
        let tag = self.text.get(floor + open + 1..at).unwrap_or_default();
        let name = tag.split_whitespace().next().unwrap_or_default();
        let Some(kind) = name::kind(name.rsplit(':').next().unwrap_or_default()) else { return };
        let rest = &self.bytes[at + 1..self.bytes.len().min(at + 1 + 4096)];
        let Some(end) = rest.iter().position(|byte| *byte == b'<') else { return };
        let (range, closes) = (at + 1..at + 1 + end, self.byte(at + 2 + end) == b'/');
        if closes && is_secret(kind, &self.text[range.clone()], Bond::Strong) {
            self.hit(range);
        }
    }
}
