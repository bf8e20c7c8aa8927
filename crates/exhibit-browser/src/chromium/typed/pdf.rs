//! Owns the search for secrets in what a PDF says without showing it: its title, the addresses of its
//! links, its alternative texts. Chromium writes these as plain strings (ISO 32000-1, 7.3.4); each is
//! overwritten in its place, so that every object stays where the document's table says it is. What is
//! printed on a page is packed, and is what the page shows.

use crate::secret::REDACTED;

/// What takes the secrets out of a text; none when there are none in it.
type Clean<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Entries whose strings are words of the page; others are the format's own (names of fonts, ids).
const WORDS: &[&[u8]] = &[
    b"ActualText",
    b"Alt",
    b"Author",
    b"Contents",
    b"D",
    b"Dest",
    b"E",
    b"F",
    b"Keywords",
    b"Lang",
    b"Names",
    b"Subject",
    b"T",
    b"TU",
    b"Title",
    b"URI",
    b"V",
];

/// `document` with each string in it that holds a secret overwritten; none when there is none.
pub(super) fn cleaned(document: &[u8], clean: Clean<'_>) -> Option<Vec<u8>> {
    let mut kept: Option<Vec<u8>> = None;
    let mut entry: &[u8] = b"";
    let clean = |entry: &[u8], text: &[u8]| {
        let text = WORDS.contains(&entry).then(|| read(text));
        text.and_then(|text| clean(&text))
    };
    let mut at = 0;
    while let Some(byte) = document.get(at) {
        let rest = &document[at..];
        let (inside, written) = match byte {
            b's' if rest.starts_with(b"stream") && !document[..at].ends_with(b"end") => {
                at += find(rest, b"endstream").map_or(rest.len(), |end| end + 9);
                continue;
            }
            b'/' => {
                let is_name = |byte: &u8| byte.is_ascii_alphanumeric();
                let length =
                    rest[1..].iter().position(|byte| !is_name(byte)).unwrap_or(rest.len() - 1);
                entry = &rest[1..=length];
                at += 1 + length;
                continue;
            }
            b'%' => {
                at += rest
                    .iter()
                    .position(|byte| matches!(byte, b'\r' | b'\n'))
                    .unwrap_or(rest.len());
                continue;
            }
            b'(' => {
                let (length, text) = literal(&rest[1..]);
                let mark = REDACTED.bytes().chain(std::iter::repeat(b' ')).take(length);
                (at + 1..at + 1 + length, clean(entry, &text).map(|_| mark.collect::<Vec<u8>>()))
            }
            b'<' if rest.starts_with(b"<<") => {
                at += 2;
                continue;
            }
            b'<' => {
                let (length, text) = hexadecimal(&rest[1..]);
                let mark = REDACTED.bytes().chain(std::iter::repeat(b' '));
                let mark = mark.flat_map(|byte| format!("{byte:02x}").into_bytes()).take(length);
                (at + 1..at + 1 + length, clean(entry, &text).map(|_| mark.collect::<Vec<u8>>()))
            }
            _ => {
                at += 1;
                continue;
            }
        };
        at = inside.end + 1;
        if let Some(written) = written {
            kept.get_or_insert_with(|| document.to_vec())[inside].copy_from_slice(&written);
        }
    }
    kept
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The length of a string in parentheses, which begins here, and what it says.
fn literal(bytes: &[u8]) -> (usize, Vec<u8>) {
    let (mut text, mut depth, mut at) = (Vec::new(), 0_u32, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => {
                let digits =
                    bytes[at + 1..].iter().take(3).take_while(|b| matches!(b, b'0'..=b'7'));
                let digits: Vec<u8> = digits.copied().collect();
                if digits.is_empty() {
                    text.extend(bytes.get(at + 1).map(|letter| match letter {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 8,
                        b'f' => 12,
                        other => *other,
                    }));
                    at += 2;
                } else {
                    let value =
                        digits.iter().fold(0_u32, |sum, digit| sum * 8 + u32::from(digit - b'0'));
                    text.push(u8::try_from(value & 0xff).unwrap_or_default());
                    at += 1 + digits.len();
                }
                continue;
            }
            b'(' => depth += 1,
            b')' if depth == 0 => break,
            b')' => depth -= 1,
            _ => {}
        }
        text.push(*byte);
        at += 1;
    }
    (at.min(bytes.len()), text)
}

/// The length of a string of hexadecimal digits, which begins here, and what it says.
fn hexadecimal(bytes: &[u8]) -> (usize, Vec<u8>) {
    let length = bytes.iter().position(|byte| *byte == b'>').unwrap_or(bytes.len());
    let digits: Vec<u8> = bytes[..length].iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let value = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    (length, digits.chunks(2).filter_map(value).collect())
}

/// A string as it reads: UTF-16 behind its mark, else UTF-8, else a byte a letter.
fn read(text: &[u8]) -> String {
    match text.strip_prefix(b"\xfe\xff") {
        Some(wide) => {
            let units: Vec<u16> =
                wide.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        None => match std::str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(_) => text.iter().copied().map(char::from).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_overwritten_in_their_places_and_nothing_else() {
        let document = b"%PDF-1.4 (s3cret\n1 0 obj <</Title (T s3\\143ret \\(x\\) (y))\n/Subject <FEFF00730033006300720065\
            0074> /URI (http://a/?s3cret)>> endobj 2 0 obj <</Length 9>> stream\n(s3cret) endstream /Alt \
            (harmless) /T (s3cret) /Font (s3cret) /E (s3cre";
        let clean = |text: &str| text.contains("s3cret").then(|| text.replace("s3cret", "x"));
        let kept = cleaned(document, &clean).expect("cleaned");
        assert_eq!(kept.len(), document.len());
        let kept = String::from_utf8(kept).expect("text");
        for wanted in [
            "(s3cret\n1",
            "/Title ([redacted]           )",
            "/Subject <5b72656461637465645d20202020>",
            "/URI ([redacted]      )",
            "stream\n(s3cret) endstream /Alt (harmless) /T ([redac) /Font (s3cret) /E (s3cre",
        ] {
            assert!(kept.contains(wanted), "{wanted} in {kept}");
        }
        assert_eq!(cleaned(b"<</Title (T)>> <", &clean), None);
    }
}
