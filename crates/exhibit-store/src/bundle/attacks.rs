//! What somebody makes of a sound bundle so that two programs read two things in it, or so that it
//! fills a disk. Each attack changes the tar inside (or the frame around it) and nothing that our own
//! earlier reader, or one of the common tools, would have refused for another reason.

use std::io::Write as _;

use super::TarType;
use super::testing::{BLOCK, Head, encoder, framed};

/// The name of an attack, and what it makes of the tar of a sound bundle: the bytes of a bundle.
pub(crate) type Attack = (&'static str, fn(&[u8]) -> Vec<u8>);

/// An entry of a tar, with everything up to the next.
#[derive(Clone)]
pub(super) struct Part {
    pub header: Vec<u8>,
    pub body: Vec<u8>,
}

impl Part {
    pub(super) fn name(&self) -> String {
        let text = |field: &[u8]| {
            let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        };
        let (prefix, name) = (text(&self.header[345..500]), text(&self.header[..100]));
        if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
    }

    /// An entry of the kind `flag` with these bytes, as other writers make it.
    fn new(name: &str, flag: u8, bytes: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(flag));
        header.set_mode(0o444);
        header.set_size(bytes.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let field = &mut header.as_mut_bytes()[..100];
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        let mut body = bytes.to_vec();
        body.resize(body.len().next_multiple_of(BLOCK), 0);
        Self { header: header.as_bytes().to_vec(), body }
    }

    /// The same with `bytes` in the header's field at `at`, and the checksum that follows.
    pub(super) fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.header[at..at + bytes.len()].copy_from_slice(bytes);
        self.header[148..156].fill(b' ');
        let sum: u32 = self.header.iter().map(|byte| u32::from(*byte)).sum();
        self.header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
        self
    }
}

/// The entries of a tar of ours.
pub(super) fn parts(tar: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = tar;
    while rest[..BLOCK] != [0; BLOCK] {
        let digits = std::str::from_utf8(&rest[124..135]).expect("digits");
        let size = usize::from_str_radix(digits, 8).expect("octal").next_multiple_of(BLOCK);
        let (header, behind) = rest.split_at(BLOCK);
        let (body, behind) = behind.split_at(size);
        parts.push(Part { header: header.to_vec(), body: body.to_vec() });
        rest = behind;
    }
    parts
}

/// A tar of these, as ours ends.
pub(super) fn joined(parts: &[Part]) -> Vec<u8> {
    let mut tar: Vec<u8> =
        parts.iter().flat_map(|part| [&part.header[..], &part.body]).flatten().copied().collect();
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

/// Change the entries of `tar`.
fn of(tar: &[u8], change: impl FnOnce(&mut Vec<Part>)) -> Vec<u8> {
    let mut parts = parts(tar);
    change(&mut parts);
    framed(&joined(&parts))
}

/// Change the header of the last file: its field at `at`.
fn field(tar: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    of(tar, |parts| {
        let last = parts.pop().expect("an entry");
        parts.push(last.with(at, bytes));
    })
}

/// Put an entry of its own before the last file.
fn before_last(tar: &[u8], part: Part) -> Vec<u8> {
    of(tar, |parts| parts.insert(parts.len() - 1, part))
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length = (1..1000).find(|length: &usize| length.to_string().len() + rest.len() == *length);
    format!("{}{rest}", length.expect("a fixed point"))
}

fn pax(flag: u8, records: &[(&str, &str)]) -> Part {
    let text: String = records.iter().map(|(key, value)| record(key, value)).collect();
    Part::new("PaxHeaders/x", flag, text.as_bytes())
}

fn other_checksum(tar: &[u8], form: impl Fn(u32) -> String) -> Vec<u8> {
    of(tar, |parts| {
        let last = parts.last_mut().expect("an entry");
        let digits = std::str::from_utf8(&last.header[148..155]).expect("digits");
        let text = form(u32::from_str_radix(digits, 8).expect("octal"));
        last.header[148..156].copy_from_slice(text.as_bytes());
    })
}

fn last_size(tar: &[u8]) -> u64 {
    let parts = parts(tar);
    let digits =
        std::str::from_utf8(&parts.last().expect("an entry").header[124..135]).expect("text");
    u64::from_str_radix(digits, 8).expect("octal")
}

/// Behind the end of the tar, and inside the frame.
fn behind(tar: &[u8], bytes: &[u8]) -> Vec<u8> {
    framed(&[tar, bytes].concat())
}

fn forged(tar: &[u8]) -> Part {
    let parts = parts(tar);
    Part::new(&parts.last().expect("an entry").name(), b'0', b"forged")
}

fn with_frame(tar: &[u8], set: impl FnOnce(&mut zstd::Encoder<'static, Vec<u8>>)) -> Vec<u8> {
    let mut encoder = encoder(Vec::new()).expect("an encoder");
    set(&mut encoder);
    encoder.write_all(tar).expect("in memory");
    encoder.finish().expect("in memory")
}

/// A file of zeros that is larger by far than what it is packed in, at the place of the last one.
fn bomb(tar: &[u8], name: &str, size: u64) -> Vec<u8> {
    let mut parts = parts(tar);
    let run = parts.iter().map(Part::name).find(|name| name.starts_with("runs/")).expect("a run");
    let name = format!("{run}{name}");
    parts.retain(|part| part.name() < name);
    let head = Head::of(&name, TarType::File, size).expect("an entry");
    let mut tar = joined(&parts);
    tar.truncate(tar.len() - 2 * BLOCK);
    let mut encoder = encoder(Vec::new()).expect("an encoder");
    encoder.write_all(&tar).expect("in memory");
    encoder.write_all(&head.header).expect("in memory");
    let zeros = vec![0; 1 << 20];
    for _ in 0..size >> 20 {
        encoder.write_all(&zeros).expect("in memory");
    }
    encoder.write_all(&[0; 2 * BLOCK]).expect("in memory");
    encoder.finish().expect("in memory")
}

/// Ways to say with a header of another format what ours does not say.
pub(super) const EXTENDED: &[Attack] = &[
    ("two PAX records of a file's size", |tar| {
        let size = last_size(tar).to_string();
        before_last(tar, pax(b'x', &[("size", "0"), ("size", &size)]))
    }),
    ("a PAX comment before a file", |tar| before_last(tar, pax(b'x', &[("comment", "x")]))),
    ("a PAX path before a file", |tar| {
        before_last(tar, pax(b'x', &[("path", "runs/report.html")]))
    }),
    ("a PAX header for the whole archive", |tar| {
        of(tar, |parts| parts.insert(0, pax(b'g', &[("comment", "x")])))
    }),
    ("a sparse file by PAX records", |tar| {
        before_last(tar, pax(b'x', &[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")]))
    }),
    ("GNU's long name before a file whose name fits", |tar| {
        let name = format!("{}\0", parts(tar).last().expect("an entry").name());
        before_last(tar, Part::new("././@LongLink", b'L', name.as_bytes()))
    }),
    ("GNU's long name of a link", |tar| before_last(tar, Part::new("././@LongLink", b'K', b"x\0"))),
    ("GNU's sparse file", |tar| field(tar, 156, b"S")),
    ("GNU's label of a volume", |tar| of(tar, |parts| parts.insert(0, Part::new("x", b'V', b"")))),
    ("a size in binary", |tar| {
        let mut size = [0; 12];
        size[0] = 0x80;
        size[4..].copy_from_slice(&last_size(tar).to_be_bytes());
        field(tar, 124, &size)
    }),
];

/// Other spellings of what a header says.
pub(super) const SPELLED: &[Attack] = &[
    ("a size with spaces before it", |tar| {
        field(tar, 124, format!("{:>11o}\0", last_size(tar)).as_bytes())
    }),
    ("a size that ends in a space", |tar| {
        field(tar, 124, format!("{:011o} ", last_size(tar)).as_bytes())
    }),
    ("a size of twelve digits", |tar| {
        field(tar, 124, format!("{:012o}", last_size(tar)).as_bytes())
    }),
    ("a checksum of six digits and a space", |tar| {
        other_checksum(tar, |sum| format!("{sum:06o}\0 "))
    }),
    ("a checksum with spaces before it", |tar| other_checksum(tar, |sum| format!("{sum:>7o}\0"))),
    ("a wrong checksum", |tar| other_checksum(tar, |sum| format!("{:07o}\0", sum + 1))),
    ("another mode", |tar| field(tar, 100, b"0000644\0")),
    ("an owner", |tar| field(tar, 108, b"0001750\0")),
    ("an owner's name", |tar| field(tar, 265, b"root")),
    ("a time", |tar| field(tar, 136, b"14000000000\0")),
    ("the magic word of GNU tar", |tar| field(tar, 257, b"ustar  \0")),
    ("no magic word", |tar| field(tar, 257, &[0; 8])),
    ("the old flag of a file", |tar| field(tar, 156, b"\0")),
    ("the flag of a contiguous file", |tar| field(tar, 156, b"7")),
    ("a hard link with bytes", |tar| field(tar, 156, b"1")),
    ("a target of a file that is no link", |tar| field(tar, 157, b"x")),
    ("numbers of a device", |tar| field(tar, 329, b"0000001\0")),
    ("bytes behind a name", |tar| field(tar, 98, b"\0x")),
    ("bytes at the end of a header", |tar| field(tar, 508, b"more")),
    ("a name divided where it need not be", |tar| {
        of(tar, |parts| {
            let last = parts.pop().expect("an entry");
            let name = last.name();
            let (prefix, rest) = name.rsplit_once('/').expect("a path");
            let blank = last.with(0, &[0; 100]).with(345, prefix.as_bytes());
            parts.push(blank.with(0, rest.as_bytes()));
        })
    }),
    ("a file that ends in a slash", |tar| {
        let name = format!("{}/", parts(tar).last().expect("an entry").name());
        field(tar, 0, name.as_bytes())
    }),
    ("a file that is filled up with something", |tar| {
        of(tar, |parts| {
            let mut file = parts.iter_mut().rfind(|part| part.body.last() == Some(&0));
            *file.as_mut().expect("a file").body.last_mut().expect("a byte") = b'x';
        })
    }),
];

/// What stands twice, elsewhere, or behind the end.
pub(super) const PLACED: &[Attack] = &[
    ("a file that stands there twice", |tar| {
        of(tar, |parts| parts.push(parts.last().expect("an entry").clone()))
    }),
    ("another file of the same name", |tar| of(tar, |parts| parts.push(forged(tar)))),
    ("a hard link in place of a file", |tar| {
        let name = parts(tar).last().expect("an entry").name();
        of(tar, |parts| {
            parts.pop();
            let to = parts.last().expect("an entry").name();
            parts.push(Part::new(&name, b'1', b"").with(157, to.as_bytes()));
        })
    }),
    ("two files exchanged", |tar| {
        of(tar, |parts| {
            let last = parts.pop().expect("an entry");
            parts.insert(parts.len() - 1, last);
        })
    }),
    ("a folder without an entry", |tar| {
        of(tar, |parts| {
            let folder = parts.iter().rposition(|part| part.header[156] == b'5');
            parts.remove(folder.expect("a folder"));
        })
    }),
    ("a folder that stands there twice", |tar| {
        of(tar, |parts| {
            let folder = parts.iter().rposition(|part| part.header[156] == b'5').expect("a folder");
            parts.insert(folder, parts[folder].clone());
        })
    }),
    ("`runs/` as an entry", |tar| of(tar, |parts| parts.insert(0, Part::new("runs/", b'5', b"")))),
    ("`./` before a name", |tar| {
        let name = format!("./{}", parts(tar).last().expect("an entry").name());
        field(tar, 0, name.as_bytes())
    }),
    ("an entry behind the end of the tar", |tar| behind(tar, &joined(&[forged(tar)]))),
    ("an entry behind one block of zeros", |tar| {
        behind(&tar[..tar.len() - BLOCK], &joined(&[forged(tar)]))
    }),
    ("a tar that is filled up as GNU tar does", |tar| {
        behind(tar, &vec![0; tar.len().next_multiple_of(20 * BLOCK) - tar.len()])
    }),
    ("a tar with one block of zeros at its end", |tar| framed(&tar[..tar.len() - BLOCK])),
    ("a tar without an end", |tar| framed(&tar[..tar.len() - 2 * BLOCK])),
    ("a byte behind the end of the tar", |tar| behind(tar, b"x")),
];

/// Frames that are read as the same bytes, by some.
pub(super) const FRAMED: &[Attack] = &[
    ("a skippable frame before", |tar| {
        [&b"\x50\x2a\x4d\x18\x04\x00\x00\x00more"[..], &framed(tar)].concat()
    }),
    ("a skippable frame behind", |tar| {
        [&framed(tar)[..], b"\x5f\x2a\x4d\x18\x04\x00\x00\x00more"].concat()
    }),
    ("a tar in two frames", |tar| {
        let (one, other) = tar.split_at(BLOCK);
        [framed(one), framed(other)].concat()
    }),
    ("a second tar in a second frame", |tar| {
        [framed(tar), framed(&joined(&[forged(tar)]))].concat()
    }),
    ("bytes behind the frame", |tar| [&framed(tar)[..], b"\0"].concat()),
    ("a frame without a checksum", |tar| {
        with_frame(tar, |encoder| encoder.include_checksum(false).expect("set"))
    }),
    ("a frame that says its size", |tar| {
        with_frame(tar, |encoder| {
            encoder.set_pledged_src_size(Some(tar.len() as u64)).expect("set");
        })
    }),
    ("a frame with a large window", |tar| {
        with_frame(tar, |encoder| encoder.window_log(27).expect("set"))
    }),
];

/// What is small until it is unpacked.
pub(super) const BOMBS: &[Attack] = &[
    ("zeros below data/, more than bag-info.txt says", |tar| bomb(tar, "data/zeros", 1 << 30)),
    ("a signature of zeros", |tar| bomb(tar, "tagmanifest-sha256.txt.sig", 64 << 20)),
    ("a manifest of zeros", |tar| bomb(tar, "manifest-sha256.txt", 256 << 20)),
    ("a seal of zeros", |tar| bomb(tar, "seal.json", 64 << 20)),
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Attack> {
    [EXTENDED, SPELLED, PLACED, FRAMED, BOMBS].into_iter().flatten()
}
