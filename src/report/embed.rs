//! Owns what a report carries of the folder's files: whole while there is room, then as a small
//! picture, else only as a path. Bounded in memory and in work, whatever the folder holds.

use std::fmt;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::source::Source;
use super::thumbnail::{self, Thumbnails};
use crate::evidence::is_safe_path;

/// Bytes of pictures that a report carries whole.
pub(super) const PICTURES: u64 = 16 << 20;
/// Bytes of recordings that a report carries.
pub(super) const RECORDINGS: u64 = 16 << 20;
/// Bytes of other files (record, events, manifest, captions) that a report carries.
pub(super) const TEXTS: u64 = 16 << 20;

/// A file inside the report, as a `data:` address.
#[derive(Debug)]
pub(super) struct Embedded {
    media_type: &'static str,
    bytes: Vec<u8>,
}

impl Embedded {
    pub(super) fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, bytes }
    }

    /// The bytes in base64, without the rest of the address.
    pub(super) fn base64(&self) -> Base64Display<'_, '_, base64::engine::GeneralPurpose> {
        Base64Display::new(&self.bytes, &STANDARD)
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data:{};base64,{}", self.media_type, self.base64())
    }
}

/// A picture of the folder, as far as the report carries it.
#[derive(Debug)]
pub(super) struct EmbeddedPicture {
    /// Its path in the folder.
    pub(super) file: String,
    /// The whole file.
    pub(super) whole: Option<Embedded>,
    /// A small picture of it, where it is not whole.
    pub(super) small: Option<Embedded>,
    /// What is wrong with the file; empty when nothing is.
    pub(super) wrong: &'static str,
}

/// What is left of the room.
#[derive(Debug)]
pub(super) struct Room {
    pictures: u64,
    recordings: u64,
    texts: u64,
    thumbnails: Thumbnails,
    /// Files of which the report carries no more than a small picture or the path.
    pub(super) left_out: u64,
}

/// The media type of a picture by the ending of its name: nothing that could hold a script.
pub(super) fn picture_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "png" => Some("image/png"),
        "jpeg" | "jpg" => Some("image/jpeg"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

impl Room {
    /// All of it.
    pub(super) fn new() -> Self {
        Self {
            pictures: PICTURES,
            recordings: RECORDINGS,
            texts: TEXTS,
            thumbnails: Thumbnails::default(),
            left_out: 0,
        }
    }

    /// The picture in the file `name`; none when there is no such file.
    pub(super) fn picture(&mut self, source: &mut Source, name: &str) -> Option<EmbeddedPicture> {
        let media_type = picture_type(name)?;
        let size = known(source, name)?;
        let mut picture =
            EmbeddedPicture { file: name.to_owned(), whole: None, small: None, wrong: "" };
        if size <= self.pictures {
            let bytes = source.read(name, self.pictures)?;
            self.pictures = self.pictures.saturating_sub(bytes.len() as u64);
            picture.whole = Some(Embedded::new(media_type, bytes));
        } else {
            self.left_out += 1;
            picture.small = self.small(source, name);
        }
        picture.wrong = source.whole(name).mark();
        Some(picture)
    }

    /// A picture that the report made itself, when there is room.
    pub(super) fn made(&mut self, png: Vec<u8>) -> Option<Embedded> {
        self.pictures = self.pictures.checked_sub(png.len() as u64)?;
        Some(Embedded::new("image/png", png))
    }

    /// Only a small picture of the file `name`, which stands whole elsewhere.
    pub(super) fn reminder(&mut self, source: &mut Source, name: &str) -> Option<EmbeddedPicture> {
        known(source, name)?;
        let small = self.small(source, name);
        let wrong = source.whole(name).mark();
        Some(EmbeddedPicture { file: name.to_owned(), whole: None, small, wrong })
    }

    fn small(&mut self, source: &Source, name: &str) -> Option<Embedded> {
        let (path, _) = source.plain(name).filter(|_| picture_type(name) == Some("image/png"))?;
        let file = std::fs::File::open(path).ok()?;
        let bytes = self.thumbnails.of_png(std::io::BufReader::new(file))?;
        Some(Embedded::new(thumbnail::MEDIA_TYPE, bytes))
    }

    /// The recording in the file `name`, when there is room; else its path is all there is.
    pub(super) fn recording(&mut self, source: &mut Source, name: &str) -> Option<Embedded> {
        let size = known(source, name)?;
        if size > self.recordings {
            self.left_out += 1;
            return None;
        }
        let bytes = source.read(name, self.recordings)?;
        self.recordings = self.recordings.saturating_sub(bytes.len() as u64);
        Some(Embedded::new("video/mp4", bytes))
    }

    /// A file of text, when there is room.
    pub(super) fn text_file(
        &mut self,
        source: &mut Source,
        name: &str,
        media_type: &'static str,
    ) -> Option<Embedded> {
        let (_, size) = source.plain(name)?;
        if size > self.texts {
            self.left_out += 1;
            return None;
        }
        let bytes = source.read(name, self.texts)?;
        self.texts = self.texts.saturating_sub(bytes.len() as u64);
        Some(Embedded::new(media_type, bytes))
    }

    /// Text that was read already, when there is room.
    pub(super) fn text(&mut self, bytes: Vec<u8>) -> Option<Embedded> {
        self.texts = self.texts.checked_sub(bytes.len() as u64)?;
        Some(Embedded::new("text/plain", bytes))
    }
}

/// The size of the file `name`; that there is none is a problem.
fn known(source: &mut Source, name: &str) -> Option<u64> {
    let size = source.plain(name).map(|(_, size)| size);
    if size.is_none() && is_safe_path(name) {
        source.problem(format!("{name} is missing, or is no plain file."));
    }
    size
}
