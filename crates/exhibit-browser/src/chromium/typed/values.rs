//! Owns the values that were typed into fields for secrets, and the search for them in a text: as they
//! are, and as an address, a document or a script spells them. The search is linear in the text.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;

use crate::secret::REDACTED;

/// Shorter values are words of any text; they are taken out of their own fields only.
pub(super) const SHORTEST: usize = 4;
/// A number of so many digits is also looked for in groups, as cards show theirs.
const GROUPED: usize = 8;

/// Values that stand in no text, the longest first.
#[derive(Clone, Default)]
pub(in crate::chromium) struct Values(Vec<String>);

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Values").field(&self.0.len()).finish()
    }
}

impl Values {
    /// One more value, in each spelling a field gives it.
    pub(super) fn add(&mut self, value: &str) {
        for spelling in spellings(value) {
            if spelling.chars().count() >= SHORTEST && !self.0.contains(&spelling) {
                self.0.push(spelling);
            }
        }
        self.0.sort_by_key(|value| std::cmp::Reverse(value.len()));
    }

    /// Whether there are none.
    pub(in crate::chromium) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` without the values; none when it has none of them.
    pub(in crate::chromium) fn cleaned(&self, text: &str) -> Option<String> {
        if self.0.is_empty() || text.len() < SHORTEST {
            return None;
        }
        let mut found = self.find(text);
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
        let (mut kept, mut from) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in found {
            if start >= from {
                kept.push_str(&text[from..start]);
                kept.push_str(REDACTED);
            }
            // What overlaps with the one before goes with it.
            from = from.max(end);
        }
        kept.push_str(&text[from..]);
        Some(kept)
    }

    /// Take the values out of `text`.
    pub(in crate::chromium) fn clean(&self, text: &mut String) {
        if let Some(kept) = self.cleaned(text) {
            *text = kept;
        }
    }

    /// Take the values out of each text in `value`, but for what stands under the names `but`.
    /// Whether there were any.
    pub(in crate::chromium) fn clean_value(&self, value: &mut Value, but: &[&str]) -> bool {
        match value {
            Value::String(text) => self.cleaned(text).map(|kept| *text = kept).is_some(),
            Value::Array(items) => {
                items.iter_mut().fold(false, |hit, item| self.clean_value(item, but) | hit)
            }
            Value::Object(fields) => {
                let told = fields.iter_mut().filter(|(name, _)| !but.contains(&name.as_str()));
                told.fold(false, |hit, (_, item)| self.clean_value(item, but) | hit)
            }
            _ => false,
        }
    }

    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let plain = View { text: text.to_owned(), places: Vec::new() };
        self.find_in(&plain, &mut found);
        let forms = [Form::Percent, Form::Query, Form::Entity, Form::Backslash];
        for view in forms.into_iter().filter_map(|form| plain.decoded(form)) {
            self.find_in(&view, &mut found);
            // An address in a document, and an address within another one.
            for inner in [Form::Percent, Form::Query, Form::Entity] {
                if let Some(view) = view.decoded(inner) {
                    self.find_in(&view, &mut found);
                }
            }
        }
        found
    }

    fn find_in(&self, view: &View, found: &mut Vec<Range<usize>>) {
        for value in &self.0 {
            let hits = view.text.match_indices(value.as_str());
            found.extend(hits.map(|(at, _)| view.place(at)..view.place(at + value.len())));
        }
    }
}

/// A value as it was typed, as a field of one line keeps it, and as a page may show it.
fn spellings(value: &str) -> BTreeSet<String> {
    let lines = value.replace("\r\n", "\n").replace('\r', "\n");
    let words: Vec<&str> = value.split_whitespace().collect();
    let mut all = BTreeSet::from([
        value.to_owned(),
        value.trim().to_owned(),
        lines.replace('\n', ""),
        lines.replace('\n', "\r\n"),
        lines,
        words.join(" "),
    ]);
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let number = value.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "-.".contains(c));
    if number && digits.len() >= GROUPED {
        let groups: Vec<String> =
            digits.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).into()).collect();
        all.extend([" ", "-", ".", "\u{a0}"].map(|between| groups.join(between)));
        all.insert(digits);
    }
    all
}

/// How something else spells a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `%20`.
    Percent,
    /// The same, with `+` for a space.
    Query,
    /// `&amp;`.
    Entity,
    /// `\"` and `\u0022`.
    Backslash,
}

/// A text as it reads once decoded, and where in the text itself each of its bytes comes from.
struct View {
    text: String,
    /// None when it is the text itself.
    places: Vec<u32>,
}

impl View {
    fn place(&self, at: usize) -> usize {
        self.places.get(at).map_or(at, |place| *place as usize)
    }

    /// The view of the view; none when it reads the same.
    fn decoded(&self, form: Form) -> Option<Self> {
        let marks: &[char] = match form {
            Form::Percent => &['%'],
            Form::Query => &['+'],
            Form::Entity => &['&'],
            Form::Backslash => &['\\'],
        };
        if !self.text.contains(marks) || u32::try_from(self.text.len()).is_err() {
            return None;
        }
        let mut view = Self { text: String::new(), places: Vec::new() };
        let (text, mut at) = (self.text.as_str(), 0);
        while let Some(letter) = text[at..].chars().next() {
            let (decoded, taken) = match (form, letter) {
                (Form::Percent | Form::Query, '%') => percent(&text[at..]),
                (Form::Query, '+') => (" ".to_owned(), 1),
                (Form::Entity, '&') => entity(&text[at..]),
                (Form::Backslash, '\\') => backslash(&text[at..]),
                _ => (String::new(), 0),
            };
            let start = u32::try_from(self.place(at)).unwrap_or(u32::MAX);
            let piece = if taken == 0 { letter.to_string() } else { decoded };
            view.places.resize(view.text.len() + piece.len(), start);
            view.text.push_str(&piece);
            at += if taken == 0 { letter.len_utf8() } else { taken };
        }
        view.places.push(u32::try_from(self.place(at)).unwrap_or(u32::MAX));
        Some(view)
    }
}

/// One character spelled `%C3%BC`, and how much of the text that takes; nothing when it is none.
fn percent(text: &str) -> (String, usize) {
    let mut bytes = Vec::new();
    while bytes.len() < 4 {
        let from = bytes.len() * 3;
        let Some(code) = text.get(from..from + 3).and_then(|code| code.strip_prefix('%')) else {
            break;
        };
        let Ok(byte) = u8::from_str_radix(code, 16) else { break };
        bytes.push(byte);
        if let Ok(letter) = std::str::from_utf8(&bytes) {
            return (letter.to_owned(), from + 3);
        }
    }
    (String::new(), 0)
}

/// One character spelled `&amp;`, `&#39;` or `&#x27;`.
fn entity(text: &str) -> (String, usize) {
    let Some(end) = text.bytes().take(12).position(|byte| byte == b';') else {
        return (String::new(), 0);
    };
    let name = &text[1..end];
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
    let letter = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => match name.strip_prefix('#') {
            Some(code) => match code.strip_prefix(['x', 'X']) {
                Some(code) => number(code, 16),
                None => number(code, 10),
            }
            .and_then(char::from_u32),
            None => None,
        },
    };
    letter.map_or((String::new(), 0), |letter| (letter.to_string(), end + 1))
}

/// One character spelled `\n`, `\"` or `\u0022`.
fn backslash(text: &str) -> (String, usize) {
    let unit = |from: usize| {
        let code = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(code, 16).ok()
    };
    if let Some(first) = unit(0) {
        let units = [Some(first), unit(6)];
        let both: Vec<u16> = units.into_iter().flatten().collect();
        let one = String::from_utf16(&[first]).ok().map(|letter| (letter, 6));
        let pair = || String::from_utf16(&both).ok().map(|letter| (letter, 12));
        return one.or_else(pair).unwrap_or_default();
    }
    match text[1..].chars().next() {
        Some('n') => ("\n".to_owned(), 2),
        Some('t') => ("\t".to_owned(), 2),
        Some('r') => ("\r".to_owned(), 2),
        Some(letter @ ('"' | '\'' | '\\' | '/' | '`')) => (letter.to_string(), 2),
        _ => (String::new(), 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(typed: &[&str]) -> Values {
        let mut values = Values::default();
        for value in typed {
            values.add(value);
        }
        values
    }

    #[test]
    fn a_value_is_found_in_each_spelling() {
        let value = "a&b \"ü\"+<%20>\\";
        let typed = values(&[value]);
        let query = url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
        let address = query.replace('+', "%20");
        let within = url::form_urlencoded::byte_serialize(address.as_bytes()).collect::<String>();
        let document = "a&amp;b &quot;ü&quot;+&lt;%20&gt;\\";
        let script = json!(value).to_string();
        let script = script.trim_matches('"');
        let escaped = "a\\u0026b \\u0022\\u00fc\\u0022+\\u003c%20\\u003e\\\\";
        for spelling in [value, &query, &address, &within, document, script, escaped] {
            let text = format!("a=%C3% & <{spelling}> \\ end");
            let kept = typed.cleaned(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(kept, "a=%C3% & <[redacted]> \\ end", "{text}");
        }
        assert_eq!(typed.cleaned("a&b \"u\"+<%20>\\"), None);
    }

    #[test]
    fn a_number_is_found_in_groups_and_the_longest_value_goes_first() {
        let typed = values(&["4111111111111111", "4111", "482 913", "123"]);
        let text = "4111 1111 1111 1111, 4111-1111-1111-1111, 4111111111111111, 482 913 and 123";
        let kept = "[redacted], [redacted], [redacted], [redacted] and 123";
        assert_eq!(typed.cleaned(text).as_deref(), Some(kept));
        // What overlaps goes as one.
        assert_eq!(values(&["abcde", "defgh"]).cleaned("xabcdefghy").unwrap(), "x[redacted]y");
    }

    #[test]
    fn a_tree_is_cleaned_but_for_its_own_numbers() {
        let mut tree = json!({ "id": "1234", "value": ["x1234", 1234], "deep": { "a": "1234" } });
        assert!(values(&["1234"]).clean_value(&mut tree, &["id"]));
        let kept =
            json!({ "id": "1234", "value": ["x[redacted]", 1234], "deep": { "a": "[redacted]" } });
        assert_eq!(tree, kept);
        assert!(!values(&["4321"]).clean_value(&mut tree, &[]));
    }
}
