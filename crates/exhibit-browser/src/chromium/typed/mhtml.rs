//! Owns the reading and writing of a page's MHTML (RFC 2557), as Chromium writes it: each part with a
//! text is decoded, cleaned and encoded again; the others stay as they are.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest line of quoted-printable (RFC 2045).
const LINE: usize = 76;

/// What takes the secrets out of a text; none when there are none in it.
type Clean<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `bytes` with each text in them as `clean` leaves it; none when that changes nothing.
pub(super) fn cleaned(bytes: &[u8], clean: Clean<'_>) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes);
    let boundary = boundary(&text);
    let (mut kept, mut hit) = (String::with_capacity(text.len()), false);
    for (at, part) in text.split(boundary.as_str()).enumerate() {
        if at > 0 {
            kept.push_str(&boundary);
        }
        let (head, body) = match part.find("\r\n\r\n") {
            Some(end) => part.split_at(end + 4),
            None => (part, ""),
        };
        let (clean_head, clean_body) = (cleaned_head(head, clean), cleaned_body(body, head, clean));
        hit |= clean_head.is_some() || clean_body.is_some();
        kept.push_str(clean_head.as_deref().unwrap_or(head));
        kept.push_str(clean_body.as_deref().unwrap_or(body));
    }
    hit.then(|| kept.into_bytes())
}

/// What stands between the parts.
fn boundary(text: &str) -> String {
    let found = text.find("boundary=\"").map(|at| &text[at + 10..]);
    let found = found.and_then(|rest| rest.find('"').map(|end| &rest[..end]));
    // A document that names none is one part.
    found.filter(|name| !name.is_empty()).map_or("\0\0".to_owned(), |name| format!("\r\n--{name}"))
}

/// The title and the addresses of a part.
fn cleaned_head(head: &str, clean: Clean<'_>) -> Option<String> {
    // Lines that begin with white space go on with the one before.
    let mut lines: Vec<String> = Vec::new();
    for line in head.split("\r\n") {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push_str("\r\n");
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let mut hit = false;
    for line in &mut lines {
        let Some((name, value)) = line.split_once(": ") else { continue };
        let whole = value.replace("\r\n", "");
        if let Some(kept) = clean(&read_words(&whole)).or_else(|| clean(&whole)) {
            let kept = if kept.is_ascii() { kept } else { word(&kept) };
            *line = format!("{name}: {kept}");
            hit = true;
        }
    }
    hit.then(|| lines.join("\r\n"))
}

/// A header's value as it reads (RFC 2047).
fn read_words(value: &str) -> String {
    let mut pieces = value.split("=?utf-8?Q?");
    let mut read = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (inner, after) = piece.split_once("?=").unwrap_or((piece, ""));
        read.push_str(&String::from_utf8_lossy(&decoded(&inner.replace('_', " "))));
        read.push_str(after.trim_end());
    }
    read
}

fn word(text: &str) -> String {
    let mut word = "=?utf-8?Q?".to_owned();
    for byte in text.bytes() {
        let _ = write!(word, "={byte:02X}");
    }
    word + "?="
}

fn cleaned_body(body: &str, head: &str, clean: Clean<'_>) -> Option<String> {
    let head = head.to_ascii_lowercase();
    if head.contains("content-transfer-encoding: quoted-printable") {
        return Some(encoded(&clean(&String::from_utf8_lossy(&decoded(body)))?));
    }
    if !head.contains("content-transfer-encoding: base64") {
        return clean(body);
    }
    if !["text", "xml", "json", "script"].iter().any(|kind| head.contains(kind)) {
        return None;
    }
    let packed: String = body.split_whitespace().collect();
    let packed = STANDARD.encode(clean(&String::from_utf8(STANDARD.decode(packed).ok()?).ok()?)?);
    let mut lines = String::with_capacity(packed.len() + packed.len() / LINE * 2);
    for (at, letter) in packed.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            lines.push_str("\r\n");
        }
        lines.push(letter);
    }
    Some(lines + "\r\n")
}

/// Quoted-printable as it reads.
fn decoded(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut read = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        if rest.starts_with(b"=\r\n") {
            rest = &rest[3..];
            continue;
        }
        let code = (first == b'=').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                read.push(byte);
                rest = &rest[3..];
            }
            None => {
                read.push(first);
                rest = after;
            }
        }
    }
    read
}

fn encoded(text: &str) -> String {
    let (mut written, mut column) = (String::with_capacity(text.len()), 0);
    let mut bytes = text.as_bytes();
    while let Some((&byte, rest)) = bytes.split_first() {
        if bytes.starts_with(b"\r\n") {
            written.push_str("\r\n");
            (column, bytes) = (0, &bytes[2..]);
            continue;
        }
        let ends = rest.is_empty() || rest.starts_with(b"\r\n");
        let plain =
            matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !ends);
        let wide = if plain { 1 } else { 3 };
        if column + wide >= LINE {
            written.push_str("=\r\n");
            column = 0;
        }
        if plain {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "={byte:02X}");
        }
        (column, bytes) = (column + wide, rest);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decoded_and_encoded_again_reads_the_same() {
        let text = format!("<p>ü = {} \r\n end ", "long ".repeat(40));
        let written = encoded(&text);
        assert!(written.lines().all(|line| line.len() <= LINE), "{written}");
        assert_eq!(decoded(&written), text.as_bytes());
    }

    #[test]
    fn each_part_is_cleaned_in_its_own_encoding() {
        let page = "<input value=\"s3cret=word\">".to_owned() + &"x".repeat(60) + "s3cret=word";
        let drawing = STANDARD.encode("<svg>s3cret=word</svg>");
        let mhtml = format!(
            "From: <Saved by Blink>\r\nSubject: =?utf-8?Q?=C3=BC=20s3cret=3Dwo?=\r\n \
             =?utf-8?Q?rd?=\r\nContent-Type: multipart/related;\r\n\tboundary=\"--x\"\r\n\r\n\r\n----x\r\n\
             Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\
             Content-Location: http://a.example/?p=s3cret=word\r\n\r\n{}\r\n----x\r\n\
             Content-Type: image/svg+xml\r\nContent-Transfer-Encoding: base64\r\n\r\n{drawing}\r\n\
             ----x--\r\n",
            encoded(&page)
        );
        let clean = |text: &str| {
            let kept = text.replace("s3cret=word", "[redacted]");
            (kept != text).then_some(kept)
        };
        let kept = cleaned(mhtml.as_bytes(), &clean).expect("cleaned");
        let kept = String::from_utf8(kept).expect("text");
        assert!(kept.contains("?p=[redacted]\r\n") && kept.contains("value=3D\"[redacted]\""));
        assert!(kept.contains(&STANDARD.encode("<svg>[redacted]</svg>")), "{kept}");
        assert!(!String::from_utf8_lossy(&decoded(&kept)).contains("s3cret"), "{kept}");
        assert!(kept.contains("=5B=72=65=64=61=63=74=65=64=5D"), "the title: {kept}");
        assert_eq!(cleaned(mhtml.as_bytes(), &|_| None), None);
    }
}
