//! Owns the shortening of what a page says at length. What was cut ends with a mark, by which the
//! cleaning of secrets (`typed`) knows that a part of one may stand before it: nothing may be cut
//! otherwise before it has been cleaned.

/// Longest message of a script that is quoted, in characters.
pub(super) const SAID: usize = 1_000;

/// The first `most` characters of `text`, with a mark if that is not all of it.
pub(super) fn cut(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("üüü".to_owned(), 3), "üüü");
        assert_eq!(cut("üüüü".to_owned(), 3), "üüü…");
    }
}
