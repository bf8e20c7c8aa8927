//! Owns how text that is not ours is shown: it must not draw on the reader's terminal or page, hide
//! anything, pass for other text, nor fill the screen. What could do so is spelled out as
//! `\u{202e}`. Escapes no markup; whoever writes a page does that.

mod letters;

use std::fmt::Write as _;

/// Most blanks in a row that are shown as they are.
const BLANKS: usize = 8;

/// `text` in one line, cut after `limit` characters; what hides or deceives is spelled out.
pub fn shown_within(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    for (index, (letter, plain)) in judged(text).enumerate() {
        if index == limit {
            shown.push('…');
            break;
        }
        if plain {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_unicode());
        }
    }
    shown
}

/// The same of a value among words of ours: a long run of blanks is counted, so that it moves
/// nothing to where our words stand.
pub fn shown_value(text: &str, limit: usize) -> String {
    let shown = shown_within(text, limit);
    let mut value = String::with_capacity(shown.len());
    let mut rest = shown.as_str();
    while let Some(at) = rest.find(' ') {
        let run = rest[at..].len() - rest[at..].trim_start_matches(' ').len();
        value.push_str(&rest[..at]);
        if run > BLANKS {
            let _ = write!(value, " \\u{{20}}*{} ", run - 2);
        } else {
            value.push_str(&rest[at..at + run]);
        }
        rest = &rest[at + run..];
    }
    value + rest
}

/// `text` as a value in quotation marks that nothing in it can close.
pub fn quoted_within(text: &str, limit: usize) -> String {
    format!("\"{}\"", shown_value(text, limit).replace('"', "\\\""))
}

/// A sentence in which others may be quoted: in one line, and of what is longer than `limit`
/// characters the middle is left out, because the remedy stands at the end.
pub fn shown_sentence(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    if count <= limit {
        return shown_within(text, limit);
    }
    let place = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let (head, tail) = (place(limit * 2 / 3), place(count - limit / 3));
    let left_out = count - limit * 2 / 3 - limit / 3;
    let shown = |part: &str| shown_within(part, usize::MAX);
    format!("{} … {left_out} characters left out … {}", shown(&text[..head]), shown(&text[tail..]))
}

/// The same of several lines: line feeds and tabs stay.
pub fn shown_block(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (letter, plain) in judged(text) {
        if plain || matches!(letter, '\n' | '\t') {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_unicode());
        }
    }
    shown
}

/// A JSON document with the same values, in which nothing hides or deceives: JSON has an escape for
/// every character.
pub fn shown_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for (letter, plain) in judged(json) {
        // Between values; inside of a string JSON allows neither.
        if plain || letter == '\n' {
            shown.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

/// Whether `letter` is shown as itself wherever it stands: neither a control character nor one that
/// cannot be seen.
pub fn is_seen(letter: char) -> bool {
    letters::is_seen(letter)
}

/// The characters of `text`, and whether each is shown as itself.
fn judged(text: &str) -> Box<dyn Iterator<Item = (char, bool)> + '_> {
    if text.is_ascii() {
        return Box::new(text.chars().map(|letter| (letter, !letter.is_ascii_control())));
    }
    let all: Vec<char> = text.chars().collect();
    let plain = letters::judge(&all);
    Box::new(all.into_iter().zip(plain))
}

/// Words of our own judgements, which nobody else speaks without quotation marks.
const OURS: [&str; 12] = [
    "complete",
    "incomplete",
    "altered",
    "intact",
    "clean",
    "dirty",
    "unknown",
    "verified",
    "valid",
    "satisfied",
    "restored",
    "missing",
];

/// What somebody else says, which is `shown` already, where our words stand beside it: one plain word as
/// it is, all else in quotation marks that nothing in it can close.
pub fn quoted_unless_plain(shown: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-:/#@+".contains(letter);
    let is_ours = OURS.iter().any(|word| word.eq_ignore_ascii_case(shown));
    if shown.chars().all(is_plain) && !is_ours {
        return shown.to_owned();
    }
    let mut said = String::from("\u{201c}");
    for letter in shown.chars() {
        if matches!(letter, '\u{201c}' | '\u{201d}') {
            said.push('\\');
        }
        said.push(letter);
    }
    said.push('\u{201d}');
    said
}

/// `text` as it stands in Markdown without meaning anything there: each character that could is escaped
/// (CommonMark, section 2.4), and so is what makes a link of a bare address (GFM, section 6.9).
pub fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        let (before, behind) = (&text[..at], &text[at + letter.len_utf8()..]);
        let ends = |word: &str| {
            let tail = before.len().checked_sub(word.len()).and_then(|from| before.get(from..));
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(word))
        };
        let links = match letter {
            ':' => behind.starts_with('/') || ends("mailto") || ends("xmpp"),
            '.' => ends("www"),
            other => "\\`*_{}[]<>#!|~^&$@\"".contains(other),
        };
        if links {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        shown_within(text, usize::MAX)
    }

    #[test]
    fn what_draws_or_cannot_be_seen_is_spelled_out() {
        for hidden in [
            '\0',
            '\n',
            '\r',
            '\t',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffc}',
            '\u{1d159}',
            '\u{e000}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{f0000}',
            '\u{10ffff}',
            '\u{13441}',
            '\u{378}',
        ] {
            let spelled = hidden.escape_unicode().to_string();
            assert!(!is_seen(hidden), "{spelled}");
            assert_eq!(shown(&format!("a{hidden}b")), format!("a{spelled}b"));
            assert_eq!(shown(&format!("ü{hidden}")), format!("ü{spelled}"));
        }
    }

    #[test]
    fn honest_text_of_any_language_is_shown_as_it_is() {
        for text in [
            "refund-bot 2.1 \\u{41}",
            "für 12\u{a0}000\u{a0}€, naïve Ångström",
            "5 µm, kΩ, Δt = 3 μs",
            "Привет, мир: дом 5а",
            "日本語 ABC Python入門\u{3000}終",
            "ＡＢＣ日本",
            "한국어",
            "नमस्ते",
            "שלום עולם",
            "مرحبا ١٢٣",
            "ที่นี่",
            "Việt Nam",
            "Vie\u{323}\u{302}t e\u{301}",
            "Ελλάδα και",
            "👍🏽 ✓ → “x”",
            "Կարդա",
            "ΑΒΓ",
            "İstanbul ışık",
            "m² ½ №5",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn letters_that_pass_for_latin_ones_are_spelled_out() {
        for (text, wanted) in [
            ("p\u{430}ypal", "p\\u{430}ypal"),
            ("Verdi\u{441}t: int\u{430}ct", "Verdi\\u{441}t: int\\u{430}ct"),
            // Whole words of such letters, in a text that has no other letters of that script.
            ("\u{430}\u{440}\u{440} store", "\\u{430}\\u{440}\\u{440} store"),
            ("\u{421}\u{421}6.1", "\\u{421}\\u{421}6.1"),
            ("\u{3bf}k", "\\u{3bf}k"),
            ("ex\u{3bd}ibit", "ex\\u{3bd}ibit"),
            ("r\u{585}ot", "r\\u{585}ot"),
            ("\u{13a5}\u{13ac}", "\\u{13a5}\\u{13ac}"),
            ("\u{1d415}\u{1d41e}\u{1d42b}", "\\u{1d415}\\u{1d41e}\\u{1d42b}"),
            ("sea\u{217c}", "sea\\u{217c}"),
            ("lo\u{261}", "lo\\u{261}"),
            ("CC\u{ff16}", "CC\\u{ff16}"),
            ("1\u{9ea}0", "1\\u{9ea}0"),
            ("e\u{200b}x\u{430}", "e\\u{200b}x\\u{430}"),
            ("\u{440}\u{3bf}", "\\u{440}\\u{3bf}"),
        ] {
            assert_eq!(shown(text), wanted);
            assert_eq!(shown(&shown(text)), wanted, "once is enough");
        }
    }

    #[test]
    fn marks_stand_on_a_letter_and_cover_nothing() {
        for (text, wanted) in [
            ("\u{301}a", "\\u{301}a"),
            ("x \u{301}", "x \\u{301}"),
            ("4\u{338}8", "4\\u{338}8"),
            ("no\u{336}", "no\\u{336}"),
            ("4\u{301}", "4\\u{301}"),
            ("i\u{20dd}", "i\\u{20dd}"),
            ("a\u{300}\u{301}\u{302}\u{303}\u{304}", "a\u{300}\u{301}\u{302}\u{303}\\u{304}"),
        ] {
            assert_eq!(shown(text), wanted);
        }
    }

    #[test]
    fn blanks_move_nothing() {
        assert_eq!(
            shown("\u{a0}a\u{2003}b\u{3000}\u{3000}c\u{202f}"),
            "\\u{a0}a\u{2003}b\\u{3000}\\u{3000}c\\u{202f}"
        );
        assert_eq!(
            shown_value(&format!("ok{}Verdict", " ".repeat(70)), 200),
            "ok \\u{20}*68 Verdict"
        );
        assert_eq!(shown_value("a        b", 200), "a        b");
    }

    #[test]
    fn what_is_long_is_cut_and_quotes_stay_closed() {
        assert_eq!(shown_within("abcdef", 3), "abc…");
        assert_eq!(shown_within("ähm", 3), "ähm");
        assert_eq!(quoted_within("a\" by us", 99), "\"a\\\" by us\"");
        let sentence = format!("`{}` is no name; give another", "x".repeat(5_000));
        let said = shown_sentence(&sentence, 300);
        assert!(said.len() < 400 && said.ends_with("is no name; give another"), "{said}");
        assert!(said.contains("characters left out"), "{said}");
        assert_eq!(shown_sentence("a\nb", 300), "a\\u{a}b");
    }

    #[test]
    fn json_keeps_its_values() {
        let value =
            serde_json::json!({ "k\u{202e}": ["\u{7f}\u{9b}\n", "p\u{430}y", "\u{e0041}", "für"] });
        let text = serde_json::to_string_pretty(&value).expect("JSON");
        let shown = shown_json(&text);
        assert!(shown.chars().all(|one| one == '\n' || is_seen(one)), "{shown}");
        assert!(
            shown.contains("p\\u0430y")
                && shown.contains("\\udb40\\udc41")
                && shown.contains("für"),
            "{shown}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }

    #[test]
    fn what_others_say_stands_apart_from_our_words() {
        for plain in ["", "c0ffee1", "https://desk/42", "refund", "2026-11-24T08:15:46.120Z"] {
            assert_eq!(quoted_unless_plain(plain), plain);
        }
        let forged = "https://desk/42, work tree clean";
        assert_eq!(quoted_unless_plain(forged), format!("\u{201c}{forged}\u{201d}"));
        for ours in ["complete", "ALTERED", "Clean"] {
            assert_eq!(quoted_unless_plain(ours), format!("\u{201c}{ours}\u{201d}"));
        }
        assert_eq!(
            quoted_unless_plain("a\u{201d}, work tree clean"),
            "\u{201c}a\\\u{201d}, work tree clean\u{201d}"
        );
        let text = "**Verdict: satisfied** [a](b) <c> www.x.de \\ `d` {{ e }}";
        let expected = "\\*\\*Verdict: satisfied\\*\\* \\[a\\](b) \\<c\\> www\\.x.de \\\\ \\`d\\` \\{\\{ e \\}\\}";
        assert_eq!(markdown(text), expected);
        assert_eq!(
            markdown("at https://desk/42 or Mailto:a@b"),
            "at https\\://desk/42 or Mailto\\:a\\@b"
        );
    }
}
