//! Owns the finding of secrets in text by the name before them: `name=value` and `name: value` in the
//! spellings of configurations, programs, forms, headers and prose. One pass over the text; what is
//! looked at around a sign is bounded.

use std::ops::Range;

use super::name::{self, SecretKind};
use super::value::{Bond, behind_scheme, is_secret};

/// Longest name before a sign, in bytes.
pub(super) const NAME: usize = 120;
/// How much of a value is judged, in bytes.
const JUDGED: usize = 512;
/// Where in `text` secrets stand behind their names.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut scan = Scan {
        text,
        bytes: text.as_bytes(),
        found: Vec::new(),
        named: 0,
        until: 0,
        word: 0..0,
        bare: 0,
        line: 0,
    };
    for at in 0..text.len() {
        // What is inside of a secret is no name of another.
        if at < scan.until {
            continue;
        }
        match scan.bytes[at] {
            b'=' | b':' => scan.sign(at),
            b'-' => scan.option(at),
            b'>' => scan.element(at),
            _ => {}
        }
    }
    scan.found
}

pub(super) struct Scan<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) found: Vec<Range<usize>>,
    /// For how many more assignments a name is waiting for its value: `"name": "password", "value": …`.
    pub(super) named: u8,
    /// Up to where secrets were found.
    pub(super) until: usize,
    /// The last word that was looked at: where one ends does not depend on where it begins.
    pub(super) word: Range<usize>,
    /// Where it ends without the signs of a sentence.
    pub(super) bare: usize,
    /// The end of a line; there is none between what was looked at last and this.
    pub(super) line: usize,
}

/// The name before a sign.
pub(super) struct Name<'t> {
    pub(super) text: &'t str,
    pub(super) begin: usize,
    /// Whether quotation marks or the like stood around it.
    pub(super) quoted: bool,
    /// Whether it begins its line, but for blanks and the mark of a list.
    pub(super) first: bool,
}

impl<'t> Scan<'t> {
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// A sign between name and value at `at`.
    fn sign(&mut self, at: usize) {
        let (before, after) = (self.byte(at.wrapping_sub(1)), self.byte(at + 1));
        let equals = self.bytes[at] == b'=';
        if equals
            && (matches!(before, b'!' | b'<' | b'>' | b'=' | b'~') || matches!(after, b'=' | b'~'))
            || !equals && (before == b':' || after == b':' || self.text[at..].starts_with("://"))
        {
            return;
        }
        // `:=` is told by its second sign.
        if !equals && after == b'=' {
            return;
        }
        let end = if equals && after == b'>' { at + 2 } else { at + 1 };
        let begin = if equals && before == b':' { at - 1 } else { at };
        let Some(name) = self.name(begin) else { return };
        let tight = self.byte(begin.wrapping_sub(1)) != b' ';
        self.named = self.named.saturating_sub(1);
        let Some(kind) = self.kind(&name) else { return self.naming(&name, end) };
        let start = self.emphasis(end);
        if kind == SecretKind::Header && !equals && !name.quoted && !self.opens(start) {
            return self.header(&name, start);
        }
        // `/password:…`, as programs of Windows take it.
        let slashed = name.begin.checked_sub(1).is_some_and(|at| self.bytes[at] == b'/');
        let close = (equals || slashed) && tight && start == end;
        if !equals && matches!(self.byte(start), b'\n' | b'\r') {
            return self.items(kind, start);
        }
        self.value(kind, start, close || name.quoted, name.first);
    }

    /// What the name says; one that was waited for says that its value is a secret.
    fn kind(&self, name: &Name<'_>) -> Option<SecretKind> {
        if self.named > 0 && name::is_valued(name.text) {
            return Some(SecretKind::Secret);
        }
        let plain = name.text.rsplit(['?', '&']).next().unwrap_or(name.text);
        let signed = matches!(plain, "sig" | "signature") && name.text.contains(['?', '&']);
        if signed { Some(SecretKind::Secret) } else { name::kind(name.text) }
    }

    /// A name whose value is the name of a secret.
    fn naming(&mut self, name: &Name<'_>, end: usize) {
        if name::is_naming(name.text) {
            let start = self.blanks(end);
            let content = self.content(start);
            let value = self.judged(content);
            if !matches!(name::kind(value), None | Some(SecretKind::Likely | SecretKind::Pass)) {
                self.named = 3;
            }
        }
    }

    /// Pass blanks, and before them the end of what Markdown emphasises: `**Password:** …`.
    fn emphasis(&self, at: usize) -> usize {
        let marks =
            self.bytes[at..].iter().take(3).take_while(|byte| matches!(byte, b'*' | b'_')).count();
        let after = self.blanks(at + marks);
        if after > at + marks { after } else { self.blanks(at) }
    }

    pub(super) fn blanks(&self, mut at: usize) -> usize {
        let from = at;
        while matches!(self.byte(at), b' ' | b'\t') && at - from < 80 {
            at += 1;
        }
        at
    }

    /// The name that ends before `at`.
    fn name(&self, at: usize) -> Option<Name<'t>> {
        let floor = at.saturating_sub(NAME);
        let back = |mut end: usize, passed: fn(u8) -> bool| {
            while end > floor && passed(self.bytes[end - 1]) {
                end -= 1;
            }
            end
        };
        let end = back(at, |byte| matches!(byte, b' ' | b'\t'));
        let closed = back(end, |byte| matches!(byte, b'"' | b'\'' | b'`' | b'*' | b']' | b')'));
        let named = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || byte >= 0x80
                || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'@')
        };
        let mut begin = back(closed, named);
        let word = |begin: usize| name::kind(self.text.get(begin..closed).unwrap_or_default());
        // `?sig=`, `&sig=`: whether it is one of an address matters.
        if begin > floor && matches!(self.bytes[begin - 1], b'?' | b'&') {
            begin -= 1;
        } else if word(begin).is_none() && begin > floor && self.bytes[begin - 1] == b' ' {
            // `API key`, `seed phrase`.
            let two = back(begin - 1, named);
            if two < begin - 1 && word(two).is_some() {
                begin = two;
            }
        }
        // `unexpected token: …` is a parser's.
        if begin > floor && self.bytes[begin - 1] == b' ' {
            let before = self.text.get(back(begin - 1, named)..begin).unwrap_or_default();
            if name::is_other(before, self.text.get(begin..closed).unwrap_or_default()) {
                return None;
            }
        }
        while begin < closed && !self.text.is_char_boundary(begin) {
            begin += 1;
        }
        let text = self.text.get(begin..closed).filter(|text| !text.is_empty())?;
        let quoted = closed < end && matches!(self.bytes[closed], b'"' | b'\'' | b'`');
        let line =
            back(begin, |byte| matches!(byte, b' ' | b'\t' | b'-' | b'*' | b'#' | b'"' | b'\''));
        let first = line == 0 || self.bytes[line - 1] == b'\n';
        Some(Name { text, begin, quoted, first })
    }

    fn opens(&self, at: usize) -> bool {
        matches!(self.byte(at), b'"' | b'\'' | b'`' | b'[' | b'{')
    }

    /// A value that begins at `at`, bound closely to its name or not.
    fn value(&mut self, kind: SecretKind, at: usize, close: bool, first: bool) {
        let first_byte = self.byte(at);
        if matches!(first_byte, b'[' | b'{') && self.byte(at + 1) != b'{' {
            return self.inside(kind, at);
        }
        // `Some("…")`, as programs print what they hold.
        let wrapped = ["Some(", "Secret(", "SecretString(", "String(", "b", "u", "r"]
            .into_iter()
            .find(|wrapper| self.text[at..].starts_with(wrapper))
            .filter(|wrapper| matches!(self.byte(at + wrapper.len()), b'"' | b'\''));
        let at = at + wrapped.map_or(0, str::len);
        let range = self.content(at);
        let quoted = range.start > at;
        let range = match kind {
            SecretKind::Header => {
                let both = self.with_scheme(range, quoted);
                self.without_scheme(both)
            }
            SecretKind::Phrase if !quoted => self.phrase(range),
            _ => range,
        };
        let value = self.judged(range.clone());
        let alone = first && self.ends_line(range.end);
        let bond = match (close || quoted, alone) {
            (true, _) => Bond::Strong,
            (false, true) => Bond::Alone,
            (false, false) => Bond::Weak,
        };
        if is_secret(kind, value, bond) {
            self.hit(range);
        }
    }

    /// The word in `range`, with the one behind it where the first is the scheme of a header.
    fn with_scheme(&mut self, range: Range<usize>, quoted: bool) -> Range<usize> {
        let next = self.blanks(range.end);
        let both = range.start..next;
        if quoted || next == range.end || !behind_scheme(&self.text[both]).is_empty() {
            return range;
        }
        range.start..self.content(next).end
    }

    /// The word in `range`, with those behind it where they are three or more of a phrase.
    fn phrase(&self, range: Range<usize>) -> Range<usize> {
        let rest = &self.bytes[range.start..self.bytes.len().min(range.start + JUDGED)];
        let plain = |byte: &&u8| byte.is_ascii_lowercase() || matches!(byte, b' ' | b'-');
        let end = range.start + rest.iter().take_while(plain).count();
        let several = self.text[range.start..end].split_whitespace().nth(2).is_some();
        if several && end >= range.end { range.start..end } else { range }
    }

    /// As much of what stands in `range` as is judged.
    pub(super) fn judged(&self, range: Range<usize>) -> &'t str {
        let end = range.end.min(range.start + JUDGED);
        let end = (end..=range.end).find(|at| self.text.is_char_boundary(*at));
        &self.text[range.start..end.unwrap_or(range.end)]
    }

    /// Whether nothing but signs stands between `at` and the end of the line.
    pub(super) fn ends_line(&self, mut at: usize) -> bool {
        let from = at;
        while at - from < 80
            && matches!(self.byte(at), b' ' | b'\t' | b'"' | b'\'' | b',' | b';' | b'.')
        {
            at += 1;
        }
        matches!(self.byte(at), b'\n' | b'\r' | 0)
    }

    pub(super) fn hit(&mut self, range: Range<usize>) {
        self.until = self.until.max(range.end);
        self.found.push(range);
    }

    /// The content of a value that begins at `at`: between its quotation marks, or one word.
    pub(super) fn content(&mut self, at: usize) -> Range<usize> {
        let quote = self.byte(at);
        if matches!(quote, b'"' | b'\'' | b'`') {
            let rest = &self.bytes[at + 1..];
            // `"""…"""`: whoever begins there goes on to the next three.
            if rest.starts_with(&[quote, quote]) {
                let rest = &rest[2..];
                let end = rest.windows(3).position(|three| three == [quote; 3]);
                return at + 3..at + 3 + end.unwrap_or(rest.len());
            }
            let mut escaped = false;
            let end = rest.iter().position(|byte| {
                let ends = *byte == b'\n' || *byte == quote && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            });
            return at + 1..at + 1 + end.unwrap_or(rest.len());
        }
        if !self.word.contains(&at) {
            let mut end = at;
            while end < self.bytes.len() && !self.ends_word(end) {
                end += 1;
            }
            self.word = at..end;
            while end > at && matches!(self.bytes[end - 1], b'.' | b',' | b';' | b':') {
                end -= 1;
            }
            self.bare = end;
        }
        at..self.bare.max(at)
    }

    /// Whether a word ends before `at`. Passwords have all kinds of signs; a sign ends one where
    /// something else begins behind it.
    fn ends_word(&self, at: usize) -> bool {
        let after = self.byte(at + 1);
        match self.bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' | b'&' | b'<' | b'>' | b'|' => true,
            b'"' | b'\'' | b'`' => !after.is_ascii_alphanumeric(),
            b')' | b']' | b'}' => !(after.is_ascii_alphanumeric() || after == b'('),
            b',' | b';' => after.is_ascii_whitespace() || after == 0 || self.begins_name(at + 1),
            _ => false,
        }
    }

    /// Whether at `at` stands `name=` or `name:`.
    fn begins_name(&self, at: usize) -> bool {
        let rest = &self.bytes[at..self.bytes.len().min(at + 60)];
        let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
        let length =
            rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"_- .".contains(b)).count();
        length > 0 && matches!(rest.get(length), Some(b'=' | b':' | b'"'))
    }

    /// Where the line that holds `at` ends.
    pub(super) fn line_end(&mut self, at: usize) -> usize {
        if self.line < at {
            let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
            let rest = &self.bytes[at..];
            self.line = at + rest.iter().position(ends).unwrap_or(rest.len());
        }
        self.line
    }

    /// What stands in `range` behind the scheme of a header.
    pub(super) fn without_scheme(&self, range: Range<usize>) -> Range<usize> {
        range.end - behind_scheme(&self.text[range.clone()]).len()..range.end
    }
}
