//! Owns the escape of everything that templates of pages fill in: markup, and what hides or deceives.

use std::borrow::Cow;
use std::fmt;

use askama::filters::Escaper;

use crate::shown::shown_block;

/// What `askama.toml` names for all templates. A value that a form sends back must stay as it is:
/// `|escape("htm")` escapes its markup only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Html;

impl Escaper for Html {
    fn write_escaped_str<W: fmt::Write>(&self, dest: W, string: &str) -> fmt::Result {
        let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
        let shown = if string.bytes().all(plain) {
            Cow::Borrowed(string)
        } else {
            Cow::Owned(shown_block(string))
        };
        askama::filters::Html.write_escaped_str(dest, &shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_nothing_hides() {
        let mut page = String::new();
        let said = "<b>\u{202e}&\u{200b}\n\tp\u{430}y für “x” \u{1b}\r";
        Html.write_escaped_str(&mut page, said).expect("memory takes it");
        let wanted = "&#60;b&#62;\\u{202e}&#38;\\u{200b}\n\tp\\u{430}y für “x” \\u{1b}\\u{d}";
        assert_eq!(page, wanted);
    }
}
