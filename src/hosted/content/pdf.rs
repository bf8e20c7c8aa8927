//! Owns the look at a PDF (ISO 32000): a printed page does nothing by itself, carries no other file,
//! and ends where it ends. Names are looked for in all of it, also in what a reader would not reach:
//! no reader finds what is not there.

use super::Fault;

/// Names of what acts, or holds other files. What browsers print has none of them.
const ACTS: [&str; 14] = [
    "JavaScript",
    "OpenAction",
    "Launch",
    "SubmitForm",
    "ImportData",
    "GoToR",
    "GoToE",
    "RichMedia",
    "Rendition",
    "EmbeddedFile",
    "EmbeddedFiles",
    "XFA",
    "AcroForm",
    "Filespec",
];
/// Names of what cannot be looked through: objects in compressed streams, and encryption.
const HIDES: [&str; 2] = ["ObjStm", "Encrypt"];
/// Longest name that is looked at.
const NAME: usize = 64;

/// Whether it is a document and nothing else.
pub(super) fn read(bytes: &[u8]) -> Result<(), Fault> {
    const END: &[u8] = b"%%EOF";
    let trimmed = bytes.trim_ascii_end();
    if !trimmed.ends_with(END) {
        let ends = bytes.windows(END.len()).any(|part| part == END);
        return Err(if ends { Fault::holds("bytes behind its end") } else { Fault::Cut });
    }
    for at in (0..bytes.len()).filter(|at| bytes[*at] == b'/') {
        let name = name(&bytes[at + 1..]);
        if ACTS.iter().any(|acts| acts.as_bytes() == name) {
            return Err(Fault::holds(format!("/{}", name.escape_ascii())));
        }
        if HIDES.iter().any(|hides| hides.as_bytes() == name) {
            let what = format!("/{}, which cannot be looked through,", name.escape_ascii());
            return Err(Fault::Holds(what));
        }
    }
    Ok(())
}

/// The name that `rest` begins with; `#4a` in it is a `J`.
fn name(rest: &[u8]) -> Vec<u8> {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0 || b"()<>[]{}/%".contains(byte);
    let written: Vec<u8> =
        rest.iter().copied().take(NAME * 3).take_while(|byte| !ends(byte)).collect();
    let mut name = Vec::new();
    let mut at = 0;
    while at < written.len() && name.len() < NAME {
        let digits = written.get(at + 1..at + 3).filter(|_| written[at] == b'#');
        let byte =
            digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        at += if byte.is_some() { 3 } else { 1 };
        name.push(byte.unwrap_or(written[at - 1]));
    }
    name
}
