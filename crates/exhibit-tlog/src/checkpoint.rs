//! Owns checkpoints (c2sp.org/tlog-checkpoint 1.0.0): the text that states a log's size and root.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::NoteError;
use crate::digest::Digest;

/// The state of a log: whose it is, how many entries it has, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Digest,
}

impl Checkpoint {
    /// Read the text of a note. Lines of extensions, none of which is empty, are left alone.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(malformed("a checkpoint begins with the log's name"))?;
        let size = lines.next().unwrap_or_default();
        let read: u64 = size.parse().map_err(|_| malformed("a checkpoint's size"))?;
        if read.to_string() != size {
            return Err(malformed("a checkpoint's size is written in its one form"));
        }
        let root = STANDARD.decode(lines.next().unwrap_or_default()).ok();
        let root = root.and_then(|root| <[u8; 32]>::try_from(root).ok());
        let root = root.ok_or(malformed("a checkpoint's root is 32 bytes in Base64"))?;
        if lines.next_back() != Some("") {
            return Err(malformed("a checkpoint's lines end with line feeds"));
        }
        // After an empty line other readers expect signatures.
        if lines.any(str::is_empty) {
            return Err(malformed("a checkpoint has no empty line"));
        }
        Ok(Self { origin: origin.to_owned(), size: read, root: Digest::from_bytes(root) })
    }
}

/// The text of the note.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = STANDARD.encode(self.root.as_bytes());
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_has_one_form() {
        let checkpoint =
            Checkpoint { origin: "example.com/log".to_owned(), size: 5, root: Digest::of(b"x") };
        let text = checkpoint.to_string();
        assert_eq!(Checkpoint::parse(&text), Ok(checkpoint.clone()));
        assert_eq!(Checkpoint::parse(&format!("{text}an extension\n")), Ok(checkpoint));
        for bad in [
            text.replace("\n5\n", "\n05\n"),
            text.replace("\n5\n", "\n+5\n"),
            text.replace("\n5\n", "\n-5\n"),
            text.replace("example.com/log", ""),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!("{text}\nan extension\n"),
            format!("{text}an extension"),
            text.replace('=', ""),
            String::new(),
        ] {
            assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
        }
    }
}
