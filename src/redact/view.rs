//! Owns the ways in which a text may be written within another: percent-encoded, as a string of JSON,
//! as an entity of HTML, in letters of full width or with invisible ones between. What is found in the
//! decoded text is known by where it stands in the first.

use std::ops::Range;

/// How often decoded text is decoded again.
const ROUNDS: usize = 3;
/// Longest entity, with `&` and `;`.
const ENTITY: usize = 8;

/// A text, and where each of its bytes comes from.
#[derive(Debug)]
pub(super) struct View {
    pub(super) text: String,
    /// For each byte of the text where its writing begins, and where the last one ends; none when it
    /// is the first text itself.
    from: Option<Vec<usize>>,
}

impl View {
    /// `text` and what it says decoded, again and again while that changes anything.
    pub(super) fn all(text: &str) -> Vec<Self> {
        let mut views = vec![Self { text: text.to_owned(), from: None }];
        for _ in 0..ROUNDS {
            match views.last().and_then(Self::decoded) {
                Some(next) => views.push(next),
                None => break,
            }
        }
        views
    }

    /// Where what stands at `range` is written in the first text.
    pub(super) fn origin(&self, range: Range<usize>) -> Range<usize> {
        self.begins(range.start)..self.begins(range.end)
    }

    fn decoded(&self) -> Option<Self> {
        if self.text.is_ascii() && !self.text.contains(['%', '\\', '&']) {
            return None;
        }
        let (mut text, mut from, mut at) = (String::new(), Vec::new(), 0);
        let mut changed = false;
        while let Some(letter) = self.text[at..].chars().next() {
            let rest = &self.text[at..];
            let read = match letter {
                '%' => percent(rest),
                '\\' => escape(rest),
                '&' => entity(rest),
                _ => plain(letter).map(|plain| (plain, letter.len_utf8())),
            };
            changed |= read.is_some();
            if is_invisible(letter) {
                changed = true;
                at += letter.len_utf8();
                continue;
            }
            let (written, length) = read.unwrap_or((letter, letter.len_utf8()));
            from.extend((0..written.len_utf8()).map(|byte| self.begins(at + byte)));
            text.push(written);
            at += length;
        }
        from.push(self.begins(at));
        changed.then_some(Self { text, from: Some(from) })
    }

    fn begins(&self, at: usize) -> usize {
        self.from.as_ref().map_or(at, |from| from[at])
    }
}

/// The ASCII letter that `code` stands for; of others the name or sign we look for is not made.
fn ascii(code: u8, length: usize) -> Option<(char, usize)> {
    code.is_ascii().then(|| (char::from(code), length))
}

/// The ASCII letter for one of full width, and the blank for one of another width.
fn plain(letter: char) -> Option<char> {
    match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        _ => None,
    }
}

/// Whether nobody sees `letter`: it may stand within a name or a number.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn hexadecimal(text: &str, from: usize, to: usize) -> Option<u8> {
    let digits = text.get(from..to)?;
    let digit = |byte: u8| byte.is_ascii_hexdigit();
    digits.bytes().all(digit).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

fn percent(text: &str) -> Option<(char, usize)> {
    ascii(hexadecimal(text, 1, 3)?, 3)
}

fn escape(text: &str) -> Option<(char, usize)> {
    let letter = match text.as_bytes().get(1)? {
        byte @ (b'"' | b'\'' | b'\\' | b'/') => char::from(*byte),
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            return text
                .get(2..4)
                .filter(|zeros| *zeros == "00")
                .and_then(|_| ascii(hexadecimal(text, 4, 6)?, 6));
        }
        b'x' => return ascii(hexadecimal(text, 2, 4)?, 4),
        _ => return None,
    };
    Some((letter, 2))
}

fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(ENTITY).position(|byte| byte == b';')?;
    let letter = match text.get(1..end)? {
        "quot" => '"',
        "apos" => '\'',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "equals" => '=',
        "colon" => ':',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u8::from_str_radix(digits, 16),
                None => number.parse(),
            };
            return ascii(code.ok()?, end + 1);
        }
    };
    Some((letter, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_found_decoded_is_known_by_where_it_is_written() {
        for text in [
            "%70assword%3Dhunter2%26x",
            r#"{\"password\":\"hunter2\"}"#,
            r#"{\\\"p\\\":\\\"hunter2\\\"}"#,
            "&quot;p&quot;:&#34;hunter2&#x22;",
            "p%253Dhunter2",
            "ü%C3%BC=hunter2%20",
            "ｐ：\u{a0}hunter2",
        ] {
            let views = View::all(text);
            let last = views.last().expect("one");
            let at = last.text.find("hunter2").expect("decoded");
            assert_eq!(&text[last.origin(at..at + 7)], "hunter2", "{text}");
            assert!(views.len() > 1, "{text}");
        }
        assert_eq!(View::all("100 % of C:\\d & ü").len(), 1);
        let deep = "%25".repeat(3) + "41";
        assert!(View::all(&deep).len() <= ROUNDS + 1);
    }

    proptest! {
        #[test]
        fn every_place_is_one_of_the_first_text(text in "([a-zü\u{200b}\u{a0}ｐ：%\\\\&;#x0-9\"nu]|%[0-9A-F]{2}|\\\\u00[0-9]{2}|&amp;){0,40}") {
            for view in View::all(&text) {
                let ends: Vec<usize> = view.text.char_indices().map(|(at, _)| at).collect();
                for pair in ends.windows(2) {
                    let origin = view.origin(pair[0]..pair[1]);
                    prop_assert!(text.get(origin).is_some());
                }
                let all = view.origin(0..view.text.len());
                prop_assert_eq!(all.end, text.len());
                prop_assert!(text[..all.start].chars().all(is_invisible));
            }
        }
    }
}
