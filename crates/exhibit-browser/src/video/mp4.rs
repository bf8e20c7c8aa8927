//! Owns the file format of recordings: MP4 (ISO/IEC 14496-12 and -15) with one track of pictures, written
//! so that what is on disk plays at any moment. While it grows it is fragmented: each fragment is
//! whole in itself. When it is finished, an index of all samples is appended and the head is turned
//! into a plain MP4 file, by a single write of 16 bytes: players then know length and seek points.

/// Units of time per second.
pub(super) const TIMESCALE: u32 = 90_000;

/// A coded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// NAL units, each behind its length in four bytes.
    pub(super) bytes: Vec<u8>,
    /// How long it is shown, in units of [`TIMESCALE`].
    pub(super) duration: u32,
    /// Whether decoding can begin here.
    pub(super) is_key: bool,
}

/// What the decoder must know first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Track {
    pub(super) width: u16,
    pub(super) height: u16,
    /// The description of its samples: a box `avc1`, `av01`, …
    pub(super) description: Vec<u8>,
}

impl Track {
    /// Name of the description's box.
    pub(super) fn name(&self) -> [u8; 4] {
        let name = self.description.get(4..8).and_then(|name| name.try_into().ok());
        name.unwrap_or_default()
    }
}

/// Where a sample is in the file.
#[derive(Clone, Copy, Debug)]
struct Placed {
    offset: u64,
    size: u32,
    duration: u32,
    is_key: bool,
}

/// A file being made: hands out bytes, in order.
#[derive(Debug)]
pub(super) struct Mp4 {
    track: Track,
    /// Bytes handed out so far.
    length: u64,
    /// Sum of the durations of all samples.
    time: u64,
    fragments: u32,
    samples: Vec<Placed>,
}

/// What is to be written to finish a file.
#[derive(Debug)]
pub(super) struct Ending {
    /// Appended.
    pub(super) index: Vec<u8>,
    /// Written over what stands at [`Ending::at`], when the index is on disk.
    pub(super) head: [u8; 16],
    pub(super) at: u64,
}

impl Mp4 {
    /// A file of `track`, and its first bytes.
    pub(super) fn begin(track: Track) -> (Self, Vec<u8>) {
        let mut bytes = leaf(*b"ftyp", |b| {
            b.extend(b"isom");
            b.extend(0x200_u32.to_be_bytes());
            for brand in [*b"isom", *b"iso6", track.name(), *b"mp41"] {
                b.extend(brand);
            }
        });
        // Room for the head that the finished file has instead.
        bytes.extend(leaf(*b"free", |b| b.extend([0; 8])));
        bytes.extend(movie(&track, None));
        let length = bytes.len() as u64;
        (Self { track, length, time: 0, fragments: 0, samples: Vec::new() }, bytes)
    }

    /// The bytes of a fragment with these samples.
    pub(super) fn fragment(&mut self, samples: &[Sample]) -> Vec<u8> {
        self.fragments += 1;
        // The data comes behind the fragment's head, whose size does not depend on the offset.
        let size = self.head(samples, 0).len();
        let head = self.head(samples, u32::try_from(size + 8).unwrap_or(u32::MAX));
        let mut offset = self.length + size as u64 + 8;
        for sample in samples {
            let size = u32::try_from(sample.bytes.len()).unwrap_or(u32::MAX);
            let Sample { duration, is_key, .. } = *sample;
            self.samples.push(Placed { offset, size, duration, is_key });
            offset += u64::from(size);
            self.time += u64::from(duration);
        }
        let mut bytes = head;
        bytes.extend(leaf(*b"mdat", |b| {
            for sample in samples {
                b.extend(&sample.bytes);
            }
        }));
        self.length += bytes.len() as u64;
        bytes
    }

    fn head(&self, samples: &[Sample], data: u32) -> Vec<u8> {
        leaf(*b"moof", |b| {
            b.extend(full(*b"mfhd", 0, 0, |b| b.extend(self.fragments.to_be_bytes())));
            b.extend(leaf(*b"traf", |b| {
                // Offsets count from the fragment's beginning.
                b.extend(full(*b"tfhd", 0, 0x02_0000, |b| b.extend(1_u32.to_be_bytes())));
                b.extend(full(*b"tfdt", 1, 0, |b| b.extend(self.time.to_be_bytes())));
                b.extend(full(*b"trun", 0, 0x701, |b| {
                    b.extend(count(samples).to_be_bytes());
                    b.extend(data.to_be_bytes());
                    for sample in samples {
                        b.extend(sample.duration.to_be_bytes());
                        b.extend(count(&sample.bytes).to_be_bytes());
                        let flags: u32 = if sample.is_key { 0x0200_0000 } else { 0x0101_0000 };
                        b.extend(flags.to_be_bytes());
                    }
                }));
            }));
        })
    }

    /// The last sample is shown until `time`, in units of [`TIMESCALE`]: nothing is known of what came
    /// after it.
    pub(super) fn hold(&mut self, time: u64) {
        let missing = u32::try_from(time.saturating_sub(self.time)).unwrap_or(u32::MAX);
        if let Some(last) = self.samples.last_mut() {
            last.duration = last.duration.saturating_add(missing);
            self.time += u64::from(missing);
        }
    }

    /// How long the file plays so far, in units of [`TIMESCALE`].
    pub(super) fn time(&self) -> u64 {
        self.time
    }

    /// What finishes the file.
    pub(super) fn end(&self) -> Ending {
        let index = movie(&self.track, Some((self.time, &self.samples)));
        // All between the brands and the index becomes one box of data.
        let at = 32;
        let mut head = [0; 16];
        head[..4].copy_from_slice(&1_u32.to_be_bytes());
        head[4..8].copy_from_slice(b"mdat");
        head[8..].copy_from_slice(&(self.length - at).to_be_bytes());
        Ending { index, head, at }
    }
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

/// A box (§4.2).
pub(super) fn leaf(name: [u8; 4], content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(name);
    content(&mut bytes);
    let size = count(&bytes);
    bytes[..4].copy_from_slice(&size.to_be_bytes());
    bytes
}

/// A full box: with version and flags.
fn full(name: [u8; 4], version: u8, flags: u32, content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    leaf(name, |bytes| {
        bytes.extend((u32::from(version) << 24 | flags).to_be_bytes());
        content(bytes);
    })
}

/// The matrix that changes nothing.
const UNITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// The movie box; of a file that grows, without samples.
fn movie(track: &Track, samples: Option<(u64, &[Placed])>) -> Vec<u8> {
    let (time, placed) = samples.unwrap_or((0, &[]));
    leaf(*b"moov", |b| {
        b.extend(full(*b"mvhd", 1, 0, |b| {
            b.extend([0; 16]);
            b.extend(TIMESCALE.to_be_bytes());
            b.extend(time.to_be_bytes());
            b.extend(0x1_0000_u32.to_be_bytes());
            b.extend(0x100_u16.to_be_bytes());
            b.extend([0; 10]);
            b.extend(UNITY.iter().flat_map(|part| part.to_be_bytes()));
            b.extend([0; 24]);
            b.extend(2_u32.to_be_bytes());
        }));
        b.extend(leaf(*b"trak", |b| {
            b.extend(full(*b"tkhd", 1, 7, |b| {
                b.extend([0; 16]);
                b.extend(1_u32.to_be_bytes());
                b.extend([0; 4]);
                b.extend(time.to_be_bytes());
                b.extend([0; 16]);
                b.extend(UNITY.iter().flat_map(|part| part.to_be_bytes()));
                b.extend((u32::from(track.width) << 16).to_be_bytes());
                b.extend((u32::from(track.height) << 16).to_be_bytes());
            }));
            b.extend(media(track, time, placed));
        }));
        if samples.is_none() {
            b.extend(leaf(*b"mvex", |b| {
                b.extend(full(*b"trex", 0, 0, |b| {
                    b.extend(1_u32.to_be_bytes());
                    b.extend(1_u32.to_be_bytes());
                    b.extend([0; 12]);
                }));
            }));
        }
    })
}

fn media(track: &Track, time: u64, placed: &[Placed]) -> Vec<u8> {
    leaf(*b"mdia", |b| {
        b.extend(full(*b"mdhd", 1, 0, |b| {
            b.extend([0; 16]);
            b.extend(TIMESCALE.to_be_bytes());
            b.extend(time.to_be_bytes());
            // The language "und", undetermined.
            b.extend(0x55c4_u16.to_be_bytes());
            b.extend([0; 2]);
        }));
        b.extend(full(*b"hdlr", 0, 0, |b| {
            b.extend([0; 4]);
            b.extend(b"vide");
            b.extend([0; 12]);
            b.extend(b"Exhibit\0");
        }));
        b.extend(leaf(*b"minf", |b| {
            b.extend(full(*b"vmhd", 0, 1, |b| b.extend([0; 8])));
            b.extend(leaf(*b"dinf", |b| {
                b.extend(full(*b"dref", 0, 0, |b| {
                    b.extend(1_u32.to_be_bytes());
                    b.extend(full(*b"url ", 0, 1, |_| {}));
                }));
            }));
            b.extend(table(track, placed));
        }));
    })
}

/// The sample table (§8.5).
fn table(track: &Track, placed: &[Placed]) -> Vec<u8> {
    leaf(*b"stbl", |b| {
        b.extend(full(*b"stsd", 0, 0, |b| {
            b.extend(1_u32.to_be_bytes());
            b.extend(&track.description);
        }));
        b.extend(full(*b"stts", 0, 0, |b| {
            b.extend(count(placed).to_be_bytes());
            for sample in placed {
                b.extend(1_u32.to_be_bytes());
                b.extend(sample.duration.to_be_bytes());
            }
        }));
        let keys: Vec<u32> = placed
            .iter()
            .zip(1_u32..)
            .filter_map(|(sample, number)| sample.is_key.then_some(number))
            .collect();
        if !placed.is_empty() {
            b.extend(full(*b"stss", 0, 0, |b| {
                b.extend(count(&keys).to_be_bytes());
                b.extend(keys.iter().flat_map(|number| number.to_be_bytes()));
            }));
        }
        // Each sample is a chunk of its own.
        b.extend(full(*b"stsc", 0, 0, |b| {
            b.extend(u32::from(!placed.is_empty()).to_be_bytes());
            if !placed.is_empty() {
                b.extend([1_u32, 1, 1].iter().flat_map(|part| part.to_be_bytes()));
            }
        }));
        b.extend(full(*b"stsz", 0, 0, |b| {
            b.extend([0; 4]);
            b.extend(count(placed).to_be_bytes());
            b.extend(placed.iter().flat_map(|sample| sample.size.to_be_bytes()));
        }));
        b.extend(full(*b"co64", 0, 0, |b| {
            b.extend(count(placed).to_be_bytes());
            b.extend(placed.iter().flat_map(|sample| sample.offset.to_be_bytes()));
        }));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name and content of each box.
    fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
        let mut found = Vec::new();
        while bytes.len() >= 8 {
            let short = u32::from_be_bytes(bytes[..4].try_into().expect("four"));
            let (size, head) = match short {
                1 => (u64::from_be_bytes(bytes[8..16].try_into().expect("eight")), 16),
                size => (u64::from(size), 8),
            };
            let size = usize::try_from(size).expect("small");
            found.push((String::from_utf8_lossy(&bytes[4..8]).into_owned(), &bytes[head..size]));
            bytes = &bytes[size..];
        }
        assert!(bytes.is_empty(), "{} bytes are in no box", bytes.len());
        found
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        boxes(bytes).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_growing_file_is_fragmented_and_a_finished_one_has_an_index() {
        let track =
            Track { width: 640, height: 480, description: leaf(*b"avc1", |b| b.extend([7; 78])) };
        let (mut mp4, mut file) = Mp4::begin(track);
        let sample = |byte: u8, is_key| Sample { bytes: vec![byte; 5], duration: 9_000, is_key };
        file.extend(mp4.fragment(&[sample(1, true), sample(2, false)]));
        file.extend(mp4.fragment(&[sample(3, true)]));
        assert_eq!(names(&file), ["ftyp", "free", "moov", "moof", "mdat", "moof", "mdat"]);
        assert_eq!(mp4.time(), 27_000);
        for (until, time) in [(30_000, 30_000), (1, 30_000)] {
            mp4.hold(until);
            assert_eq!(mp4.time(), time);
        }

        let ending = mp4.end();
        let at = usize::try_from(ending.at).expect("small");
        let before = file.clone();
        file.extend(&ending.index);
        file[at..at + 16].copy_from_slice(&ending.head);
        assert_eq!(names(&file), ["ftyp", "mdat", "moov"]);
        assert_eq!(boxes(&file)[1].1.len() + 16, before.len() - at);
        for (placed, byte) in mp4.samples.iter().zip([1, 2, 3]) {
            let offset = usize::try_from(placed.offset).expect("small");
            assert_eq!(before[offset..offset + 5], [byte; 5]);
        }
    }
}
