//! Owns the reading of a segment: a fragmented MP4 file as browsers make them (ISO/IEC 14496-12, §8.8),
//! with one track of pictures. Nothing in it is trusted: what does not fit is refused.

use super::mp4::{Sample, TIMESCALE, Track};

/// Largest side of a picture, in pixels.
const SIDE: u16 = 8_192;

/// What a segment holds.
#[derive(Debug, PartialEq)]
pub(super) struct Pictures {
    /// How they are described; none in a file that ended before its first picture.
    pub(super) track: Option<Track>,
    /// The pictures, with durations in units of [`TIMESCALE`].
    pub(super) samples: Vec<Sample>,
}

/// The file is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Read a segment. What was cut off at its end is left out.
///
/// # Errors
/// [`Malformed`] when it is no such file.
pub(super) fn read(bytes: &[u8]) -> Result<Pictures, Malformed> {
    let mut pictures = Pictures { track: None, samples: Vec::new() };
    let mut timescale = TIMESCALE;
    let mut at = 0;
    while let Some((name, content, end)) = next_box(bytes, at) {
        match &name {
            b"moov" => (pictures.track, timescale) = movie(content).ok_or(Malformed)?,
            b"moof" => fragment(bytes, at, content, timescale, &mut pictures)?,
            _ => {}
        }
        at = end;
    }
    Ok(pictures)
}

/// Name, content and end of the box at `at`.
fn next_box(bytes: &[u8], at: usize) -> Option<([u8; 4], &[u8], usize)> {
    let mut head = Fields(bytes.get(at..)?);
    let short = head.u32()?;
    let name = head.array()?;
    let (size, used) = match short {
        0 => (bytes.len() - at, 8),
        1 => (usize::try_from(head.u64()?).ok()?, 16),
        size => (usize::try_from(size).ok()?, 8),
    };
    let end = at.checked_add(size)?;
    Some((name, bytes.get(at + used..end)?, end))
}

/// The content of the first box of this name.
fn find(bytes: &[u8], wanted: [u8; 4]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some((name, content, end)) = next_box(bytes, at) {
        if name == wanted {
            return Some(content);
        }
        at = end;
    }
    None
}

fn within<'a>(bytes: &'a [u8], path: &[[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, name| find(bytes, *name))
}

/// The description of the track, and its units of time per second.
fn movie(moov: &[u8]) -> Option<(Option<Track>, u32)> {
    let media = within(moov, &[*b"trak", *b"mdia"])?;
    let mut header = Fields(find(media, *b"mdhd")?);
    let version = header.u32()? >> 24;
    header.skip(if version == 1 { 16 } else { 8 })?;
    let timescale = header.u32().filter(|scale| *scale > 0)?;
    let list = within(media, &[*b"minf", *b"stbl", *b"stsd"])?.get(8..)?;
    let (_, _, end) = next_box(list, 0)?;
    let description = list.get(..end)?;
    let mut sizes = Fields(description.get(32..)?);
    let (width, height) = (sizes.u16()?, sizes.u16()?);
    let sound = (2..=SIDE).contains(&width) && (2..=SIDE).contains(&height);
    let track = Track { width, height, description: description.to_vec() };
    sound.then_some((Some(track), timescale))
}

/// The samples of the fragment at `at`, whose head is `moof`.
fn fragment(
    bytes: &[u8],
    at: usize,
    moof: &[u8],
    timescale: u32,
    pictures: &mut Pictures,
) -> Result<(), Malformed> {
    let traf = find(moof, *b"traf").ok_or(Malformed)?;
    let defaults = find(traf, *b"tfhd").and_then(Defaults::read).ok_or(Malformed)?;
    let mut run = Fields(find(traf, *b"trun").ok_or(Malformed)?);
    let runs = Run::read(&mut run, defaults).ok_or(Malformed)?;
    let mut offset = at.checked_add(runs.offset).ok_or(Malformed)?;
    for index in 0..runs.count {
        let Some(entry) = runs.entry(&mut run, index) else { return Err(Malformed) };
        let end = offset.checked_add(entry.size).ok_or(Malformed)?;
        // The end was cut off.
        let Some(bytes) = bytes.get(offset..end) else { return Ok(()) };
        let duration = u64::from(entry.duration) * u64::from(TIMESCALE) / u64::from(timescale);
        let duration = u32::try_from(duration).map_err(|_| Malformed)?;
        pictures.samples.push(Sample { bytes: bytes.to_vec(), duration, is_key: entry.is_key });
        offset = end;
    }
    Ok(())
}

/// What holds for samples that do not say so themselves (`tfhd`).
#[derive(Clone, Copy, Default)]
struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    fn read(tfhd: &[u8]) -> Option<Self> {
        let mut fields = Fields(tfhd);
        let (present, _track) = (fields.u32()?, fields.u32()?);
        fields.skip(if present & 0x1 == 0 { 0 } else { 8 })?;
        fields.skip(if present & 0x2 == 0 { 0 } else { 4 })?;
        let mut next = |flag: u32| if present & flag == 0 { Some(0) } else { fields.u32() };
        Some(Self { duration: next(0x8)?, size: next(0x10)?, flags: next(0x20)? })
    }
}

/// A run of samples (`trun`).
struct Run {
    present: u32,
    count: u32,
    /// Of the data, from the fragment's beginning.
    offset: usize,
    first_flags: Option<u32>,
    defaults: Defaults,
}

struct TrackSample {
    duration: u32,
    size: usize,
    is_key: bool,
}

impl Run {
    fn read(fields: &mut Fields<'_>, defaults: Defaults) -> Option<Self> {
        let (present, count) = (fields.u32()?, fields.u32()?);
        let offset = if present & 0x1 == 0 { None } else { Some(fields.u32()?) };
        let first_flags = if present & 0x4 == 0 { None } else { Some(fields.u32()?) };
        let offset = usize::try_from(offset?).ok()?;
        Some(Self { present, count, offset, first_flags, defaults })
    }

    fn entry(&self, fields: &mut Fields<'_>, index: u32) -> Option<TrackSample> {
        let mut next = |flag: u32, default: u32| {
            if self.present & flag == 0 { Some(default) } else { fields.u32() }
        };
        let duration = next(0x100, self.defaults.duration)?;
        let size = usize::try_from(next(0x200, self.defaults.size)?).ok()?;
        let first = self.first_flags.filter(|_| index == 0).unwrap_or(self.defaults.flags);
        let flags = next(0x400, first)?;
        let _composition = next(0x800, 0)?;
        // A sample without bytes would let a run count as it likes.
        (size > 0).then_some(TrackSample { duration, size, is_key: flags & 0x1_0000 == 0 })
    }
}

/// Numbers one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::mp4::{Mp4, leaf};
    use proptest::prelude::*;

    fn file() -> (Vec<u8>, Track, Vec<Sample>) {
        let description = leaf(*b"av01", |b| {
            b.extend([0; 24]);
            b.extend([2, 128, 1, 224]);
            b.extend([0; 50]);
        });
        let track = Track { width: 640, height: 480, description };
        let sample = |byte: u8, is_key| Sample { bytes: vec![byte; 9], duration: 3_000, is_key };
        let samples = vec![sample(1, true), sample(2, false), sample(3, false)];
        let (mut mp4, mut bytes) = Mp4::begin(track.clone());
        bytes.extend(mp4.fragment(&samples[..2]));
        bytes.extend(mp4.fragment(&samples[2..]));
        (bytes, track, samples)
    }

    #[test]
    fn what_was_written_is_read_and_an_end_that_is_cut_off_is_left_out() {
        let (bytes, track, samples) = file();
        let read_whole = read(&bytes).expect("sound");
        assert_eq!(read_whole.track, Some(track));
        assert_eq!(read_whole.samples, samples);
        let cut = read(&bytes[..bytes.len() - 4]).expect("cut off");
        assert_eq!(cut.samples, samples[..2]);
        let nothing = Pictures { track: None, samples: Vec::new() };
        assert_eq!(read(b""), Ok(nothing));
    }

    proptest! {
        #[test]
        fn nothing_that_a_browser_sends_breaks_the_reader(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let (mut bytes, ..) = file();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Ok(pictures) = read(&bytes) {
                let size: usize = pictures.samples.iter().map(|sample| sample.bytes.len()).sum();
                prop_assert!(size <= bytes.len() * 2, "{size} bytes of {}", bytes.len());
            }
        }
    }
}
