//! Owns the ways in which something else spells a text: an address, a document, a script, a number in
//! groups. A spelling is read into what it says, with the place of each letter in the text itself.

use std::borrow::Cow;

/// How something else spells a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `%20`.
    Percent,
    /// The same, with `+` for a space.
    Query,
    /// `&amp;`.
    Entity,
    /// `\"`, `\u0022` and `\_`.
    Backslash,
    /// `482 913`: digits in groups of whatever size.
    Groups,
}

/// What may stand between two groups of digits.
pub(super) const BETWEEN: [char; 6] = [' ', '-', '.', '\u{a0}', '\u{2009}', '\u{202f}'];

/// A text as it reads once decoded, and where in the text itself each of its bytes comes from.
pub(super) struct View<'a> {
    pub(super) text: Cow<'a, str>,
    /// None when it is the text itself.
    places: Vec<u32>,
}

impl<'a> View<'a> {
    /// The text itself.
    pub(super) fn plain(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), places: Vec::new() }
    }

    /// Where in the text itself the byte `at` of the view comes from.
    pub(super) fn place(&self, at: usize) -> usize {
        self.places.get(at).map_or(at, |place| *place as usize)
    }

    /// The view of the view; none when it reads the same.
    pub(super) fn decoded(&self, form: Form) -> Option<View<'static>> {
        let marks: &[char] = match form {
            Form::Percent => &['%'],
            Form::Query => &['+'],
            Form::Entity => &['&'],
            Form::Backslash => &['\\'],
            Form::Groups => &BETWEEN,
        };
        if !self.text.contains(marks) || u32::try_from(self.text.len()).is_err() {
            return None;
        }
        let text = self.text.as_ref();
        let (mut read, mut places) = (String::with_capacity(text.len()), Vec::new());
        places.reserve_exact(text.len() + 1);
        let (mut at, mut before) = (0, '\0');
        while let Some(letter) = text[at..].chars().next() {
            let rest = &text[at..];
            let decoded = match (form, letter) {
                (Form::Percent | Form::Query, '%') => percent(rest),
                (Form::Query, '+') => Some((' ', 1)),
                (Form::Entity, '&') => entity(rest),
                (Form::Backslash, '\\') => backslash(rest),
                _ => None,
            };
            let (piece, taken) = decoded.unwrap_or((letter, letter.len_utf8()));
            let after = || rest[taken..].chars().next().unwrap_or_default();
            let parts = form == Form::Groups
                && BETWEEN.contains(&letter)
                && before.is_ascii_digit()
                && after().is_ascii_digit();
            if !parts {
                let start = u32::try_from(self.place(at)).unwrap_or(u32::MAX);
                read.push(piece);
                places.resize(read.len(), start);
            }
            before = letter;
            at += taken;
        }
        places.push(u32::try_from(self.place(at)).unwrap_or(u32::MAX));
        Some(View { text: Cow::Owned(read), places })
    }
}

/// The length of what the end of `text` has of a spelling that was cut in its middle: `%C`, `&am`,
/// `\u00`.
pub(super) fn torn(text: &str) -> usize {
    const LONGEST: usize = 12;
    let from = text.ceil_char_boundary(text.len().saturating_sub(LONGEST));
    let tail = &text.as_bytes()[from..];
    let is_torn = |at: usize| {
        let rest = &tail[at..];
        match rest[0] {
            // A letter of more than one byte may be torn between them.
            b'%' => is_beginning(rest),
            b'&' => {
                !rest.contains(&b';')
                    && rest[1..].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'#')
            }
            b'\\' => match rest.get(1) {
                None => true,
                Some(b'u') => rest.len() < 6 && rest[2..].iter().all(u8::is_ascii_hexdigit),
                Some(_) => false,
            },
            _ => false,
        }
    };
    (0..tail.len()).find(|at| is_torn(*at)).map_or(0, |at| tail.len() - at)
}

/// Whether `bytes`, which begin with `%`, are the beginning of a letter's spelling and no more.
fn is_beginning(bytes: &[u8]) -> bool {
    let mut letters = Vec::new();
    for code in bytes.chunks(3) {
        if code[0] != b'%' || !code[1..].iter().all(u8::is_ascii_hexdigit) {
            return false;
        }
        let Some(byte) = code.get(1..3).and_then(|hex| std::str::from_utf8(hex).ok()) else {
            return true;
        };
        letters.extend(u8::from_str_radix(byte, 16));
    }
    // Nothing is wrong with it but that more is to come.
    std::str::from_utf8(&letters)
        .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

/// One character spelled `%C3%BC`, `%u00FC`, or `%FC` as Latin-1, and how much of the text that takes.
fn percent(text: &str) -> Option<(char, usize)> {
    let hex = |range: std::ops::Range<usize>| {
        let code = text.get(range)?;
        code.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(code)
    };
    if text[1..].starts_with('u') {
        let letter = u32::from_str_radix(hex(2..6)?, 16).ok().and_then(char::from_u32)?;
        return Some((letter, 6));
    }
    let byte = |at: usize| {
        let marked = text.as_bytes().get(at) == Some(&b'%');
        marked.then(|| u8::from_str_radix(hex(at + 1..at + 3)?, 16).ok()).flatten()
    };
    let first = byte(0)?;
    // Of a letter that was cut in its middle there is nothing to be read.
    let cut = text.char_indices().take(12).find(|(_, letter)| *letter == '…');
    if cut.is_some_and(|(end, _)| is_beginning(&text.as_bytes()[..end])) {
        return None;
    }
    let mut bytes = Vec::with_capacity(4);
    for at in (0..12).step_by(3) {
        let Some(byte) = byte(at) else { break };
        bytes.push(byte);
        if let Ok(letter) = std::str::from_utf8(&bytes) {
            return letter.chars().next().map(|letter| (letter, at + 3));
        }
    }
    Some((char::from(first), 3))
}

/// One character spelled `&amp;`, `&#39;` or `&#x27;`.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let letter = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "hellip" => '…',
        _ => {
            let code = name.strip_prefix('#')?;
            let code = match code.strip_prefix(['x', 'X']) {
                Some(code) => u32::from_str_radix(code, 16),
                None => code.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((letter, end + 1))
}

/// One character spelled `\n`, `\"`, `\_` or `\u0022`.
fn backslash(text: &str) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let code = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(code, 16).ok()
    };
    if let Some(first) = unit(0) {
        let one = char::from_u32(u32::from(first)).map(|letter| (letter, 6));
        let pair = || {
            let mut letters = char::decode_utf16([first, unit(6)?]);
            letters.next()?.ok().map(|letter| (letter, 12))
        };
        return one.or_else(pair);
    }
    match text[1..].chars().next()? {
        'n' => Some(('\n', 2)),
        't' => Some(('\t', 2)),
        'r' => Some(('\r', 2)),
        letter if letter.is_ascii_punctuation() => Some((letter, 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_within_a_spelling_is_known() {
        let torn_off = [
            ("a%", 1),
            ("a%C", 2),
            ("a%C3", 3),
            ("a%C3%", 4),
            ("a%C3%B", 5),
            ("a%C3%BC", 0),
            ("a%41", 0),
            ("a&", 1),
            ("a&am", 3),
            ("a&#x2", 4),
            ("a&amp;", 0),
            ("a\\", 1),
            ("a\\u00", 4),
            ("a\\u0041", 0),
            ("100% of", 0),
            ("ü", 0),
            ("", 0),
            ("a%E2%82", 6),
        ];
        for (text, length) in torn_off {
            assert_eq!(torn(text), length, "{text}");
        }
    }

    #[test]
    fn each_spelling_is_read() {
        let read = [
            (Form::Percent, "%C3%BC%E4%u00e4%zz%", "üää%zz%"),
            (Form::Query, "a+b%20c", "a b c"),
            (Form::Entity, "&amp;&#39;&#x27;&nbsp;&x;", "&''\u{a0}&x;"),
            (Form::Backslash, "\\u00e4\\ud83d\\ude00\\n\\_\\x", "ä😀\n_\\x"),
            (Form::Groups, "482 913, 3782-822463-10005 1  2 a", "482913, 378282246310005 1  2 a"),
        ];
        for (form, text, wanted) in read {
            let wanted = if form == Form::Groups {
                wanted.replacen("5 1", "51", 1)
            } else {
                wanted.to_owned()
            };
            assert_eq!(View::plain(text).decoded(form).expect("a view").text, wanted, "{form:?}");
        }
        assert!(View::plain("abc").decoded(Form::Percent).is_none());
    }
}
