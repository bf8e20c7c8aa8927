//! Owns how text that is not ours can be shown to somebody: it must not draw on the reader's
//! terminal or page, nor fill it. Escapes no markup; whoever writes a page does that.

/// `text` with control characters, and those that change the direction of text, spelled out, cut
/// after `limit` characters.
pub(crate) fn shown_within(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    for (index, letter) in text.chars().enumerate() {
        if index == limit {
            shown.push('…');
            break;
        }
        if letter.is_control() || is_direction(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Whether `letter` changes the direction in which what follows is shown (Unicode UAX #9), or
/// breaks the line.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
