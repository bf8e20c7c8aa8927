//! Owns the words of a caption, each character with how it is set: nothing that cannot be seen, and
//! nothing foreign that could be taken for ours.

/// How a character is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    /// White on black: words of ours, and whose the host is.
    Marked,
}

/// Words to be drawn in one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<(char, Style)>);

impl Words {
    /// Words of ours.
    #[must_use]
    pub fn plain(self, text: &str) -> Self {
        self.set(text, Style::Plain)
    }

    /// Words of ours that are to be seen first.
    #[must_use]
    pub fn marked(self, text: &str) -> Self {
        self.set(text, Style::Marked)
    }

    /// Words of somebody else's, in quotation marks; of what takes more than `most` characters the
    /// middle is left out.
    #[must_use]
    pub fn quoted(self, text: &str, most: usize) -> Self {
        self.plain("\"").foreign(text, most, Style::Plain).plain("\"")
    }

    /// Words of somebody else's; of what takes more than `most` characters the middle is left out.
    pub(super) fn foreign(self, text: &str, most: usize, style: Style) -> Self {
        let (head, middle, tail) = cut(text, most);
        let words = self.spell(head, style);
        if middle.is_empty() {
            return words;
        }
        let count = middle.chars().count();
        let one = if count == 1 { "character" } else { "characters" };
        words.marked(&format!(" {count} {one} left out ")).spell(tail, style)
    }

    /// The characters in order, each of which can be drawn.
    pub(super) fn cells(&self) -> &[(char, Style)] {
        &self.0
    }

    fn set(mut self, text: &str, style: Style) -> Self {
        self.0.extend(text.chars().filter(|one| is_drawn(*one)).map(|one| (one, style)));
        self
    }

    fn spell(mut self, text: &str, style: Style) -> Self {
        for (_, before, one) in pairs(text) {
            match escape(before, one) {
                None => self.0.push((one, style)),
                Some(escaped) => self.0.extend(escaped.chars().map(|one| (one, style))),
            }
        }
        self
    }

    /// What is to be read, without how it is set.
    pub fn text(&self) -> String {
        self.0.iter().map(|(one, _)| one).collect()
    }
}

/// Whether a character is drawn as itself: printable, and in Latin-1, where no two look alike.
pub(super) fn is_drawn(one: char) -> bool {
    matches!(one, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{ff}')
}

/// How foreign `one` is spelled out after `before`, unless it is drawn as itself. A second space is
/// spelled out, so that nobody can move words to where others stand.
fn escape(before: Option<char>, one: char) -> Option<String> {
    match one {
        '\\' | '"' => Some(format!("\\{one}")),
        ' ' if before == Some(' ') => Some("\\u{20}".to_owned()),
        one if is_drawn(one) => None,
        other => Some(other.escape_unicode().to_string()),
    }
}

/// Each character with its place and the one before it.
fn pairs(text: &str) -> impl Iterator<Item = (usize, Option<char>, char)> {
    let before = std::iter::once(None).chain(text.chars().map(Some));
    text.char_indices().zip(before).map(|((at, one), before)| (at, before, one))
}

/// `text` in three: what is shown of its head, what is left out, what is shown of its tail; two
/// thirds of `most` characters, as they are spelled out, and one.
fn cut(text: &str, most: usize) -> (&str, &str, &str) {
    // Each takes one character at least, so that a short text need not be spelled out twice.
    let taken = |before, one| escape(before, one).map_or(1, |escaped| escaped.len());
    let mut room = most;
    let fits = text.len() <= most * 4
        && pairs(text).all(|(_, before, one)| {
            let cost = taken(before, one);
            let fits = cost <= room;
            room = room.saturating_sub(cost);
            fits
        });
    if fits {
        return (text, "", "");
    }
    let (mut room, mut head) = (most - most / 3, 0);
    for (at, before, one) in pairs(text) {
        let Some(left) = room.checked_sub(taken(before, one)) else { break };
        (room, head) = (left, at + one.len_utf8());
    }
    let (mut room, mut tail) = (most / 3, text.len());
    for (at, one) in text.char_indices().rev() {
        let cost = taken(text[..at].chars().next_back(), one);
        let Some(left) = room.checked_sub(cost).filter(|_| at >= head) else { break };
        (room, tail) = (left, at);
    }
    (&text[..head], &text[head..tail], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str, most: usize) -> String {
        Words::default().quoted(text, most).text()
    }

    #[test]
    fn what_cannot_be_seen_or_deceives_is_spelled_out() {
        for (text, drawn) in [
            ("refund-bot 2.1", "\"refund-bot 2.1\""),
            ("a\nPrincipal  alice", "\"a\\u{a}Principal \\u{20}alice\""),
            ("\u{202e}gpj.exe\u{2066}", "\"\\u{202e}gpj.exe\\u{2066}\""),
            ("a\u{200b}b\u{feff}\u{ad}\u{a0}", "\"a\\u{200b}b\\u{feff}\\u{ad}\\u{a0}\""),
            // A Cyrillic a, and a letter of Latin-1.
            ("\u{430}pple für", "\"\\u{430}pple für\""),
            ("\", by us \\u{41}", "\"\\\", by us \\\\u{41}\""),
            ("e\u{301}\u{7f}\0", "\"e\\u{301}\\u{7f}\\u{0}\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(text, 200), drawn, "{text:?}");
        }
    }

    #[test]
    fn of_what_is_long_the_middle_is_left_out_and_counted() {
        assert_eq!(quoted("abcdefghi", 9), "\"abcdefghi\"");
        assert_eq!(quoted("abcdefghij", 9), "\"abcdef 1 character left out hij\"");
        let long = format!("begin{}end", "x".repeat(100_000));
        assert_eq!(quoted(&long, 9), "\"beginx 99999 characters left out end\"");
        // What is spelled out takes its room, and the note alone is white on black.
        let words = Words::default().quoted(&"\u{202e}".repeat(50), 30);
        assert_eq!(words.text(), format!("\"{0}{0} 47 characters left out {0}\"", "\\u{202e}"));
        let marked = words.cells().iter().filter(|(_, style)| *style == Style::Marked);
        assert_eq!(marked.map(|(one, _)| one).collect::<String>(), " 47 characters left out ");
    }
}
