//! Owns the bytes of an entry's header: POSIX ustar (IEEE 1003.1, pax, "ustar Interchange Format"),
//! each field with one value only, and GNU's long name where ustar's fields are too short. One
//! function makes a header; whoever reads one makes it again from what it says and compares, so that
//! no other spelling of it is taken for the same. Reads and writes nothing.

/// What a tar is divided into.
pub const BLOCK: usize = 512;
/// Most bytes of a file: eleven octal digits say no more.
pub(super) const MAX_FILE: u64 = (1 << 33) - 1;
/// Longest name that is read: a path of the format is shorter by far.
pub(super) const MAX_NAME: usize = 1200;

/// Readable by everybody, writable by nobody: what the folders are.
const FILE: u32 = 0o444;
const FOLDER: u32 = 0o755;
/// What GNU tar gives an entry that is a name.
const LONG: u32 = 0o644;

/// Length of the field for a name, and of the one for what stands before it.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// One block of a tar.
pub type Block = [u8; BLOCK];

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TarType {
    /// A plain file.
    File,
    /// A folder.
    Folder,
}

/// What stands before the bytes of an entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The name as an entry of its own, header and padded bytes, where it does not fit into the
    /// header.
    pub long: Option<Vec<u8>>,
    /// The header itself, one block.
    pub header: Block,
}

/// How a name lies in the two fields of a header.
struct Fields<'a> {
    prefix: &'a [u8],
    /// None where what is left is too long.
    name: Option<&'a [u8]>,
}

impl Head {
    /// What stands before the `size` bytes of the entry `name`, which ends in a slash for a folder.
    /// None for what no entry can say.
    pub fn of(name: &str, kind: TarType, size: u64) -> Option<Self> {
        let bytes = name.as_bytes();
        let folder = kind == TarType::Folder;
        if size > MAX_FILE || bytes.len() > MAX_NAME || (folder && size > 0) {
            return None;
        }
        if folder != name.ends_with('/') || bytes.contains(&0) {
            return None;
        }
        let (mode, flag) = if folder { (FOLDER, b'5') } else { (FILE, b'0') };
        let fields = split(bytes)?;
        let mut header = blank(mode, flag, size, *b"ustar\x0000");
        put(&mut header[345..500], fields.prefix);
        // A name that does not fit is cut off here, and whole in the entry before.
        put(&mut header[..NAME], fields.name.unwrap_or(&bytes[..NAME.min(bytes.len())]));
        sum(&mut header);
        let long = fields.name.is_none().then(|| long_name(bytes));
        Some(Self { long, header })
    }
}

/// The entry that is a name: what GNU tar calls `././@LongLink`.
fn long_name(name: &[u8]) -> Vec<u8> {
    let mut header = blank(LONG, b'L', name.len() as u64 + 1, *b"ustar  \0");
    put(&mut header[..NAME], b"././@LongLink");
    sum(&mut header);
    let mut bytes = header.to_vec();
    bytes.extend(name);
    bytes.resize((bytes.len() + 1).next_multiple_of(BLOCK), 0);
    bytes
}

/// `name` in the fields of a header: whole where it fits, else divided at the last slash before which
/// no more stands than the prefix takes.
fn split(name: &[u8]) -> Option<Fields<'_>> {
    if name.len() <= NAME {
        return Some(Fields { prefix: b"", name: Some(name) });
    }
    // The slash that ends a folder's name divides nothing.
    let inside = &name[..name.len() - 1];
    let mut slashes = (0..inside.len()).rev().filter(|place| inside[*place] == b'/');
    let slash = slashes.find(|slash| *slash <= PREFIX)?;
    let rest = &name[slash + 1..];
    Some(Fields { prefix: &name[..slash], name: (rest.len() <= NAME).then_some(rest) })
}

/// A header without a name: nobody's, of no time.
fn blank(mode: u32, flag: u8, size: u64, magic: [u8; 8]) -> Block {
    let mut header = [0; BLOCK];
    octal(&mut header[100..108], u64::from(mode));
    octal(&mut header[108..116], 0);
    octal(&mut header[116..124], 0);
    octal(&mut header[124..136], size);
    octal(&mut header[136..148], 0);
    header[156] = flag;
    put(&mut header[257..265], &magic);
    header
}

/// Fill in the checksum, which counts itself as spaces.
fn sum(header: &mut Block) {
    header[148..156].fill(b' ');
    let sum = header.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut header[148..156], sum);
}

fn put(field: &mut [u8], bytes: &[u8]) {
    field[..bytes.len()].copy_from_slice(bytes);
}

/// `value` in octal digits that fill `field` but for a zero byte at its end.
fn octal(field: &mut [u8], value: u64) {
    let digits = format!("{value:0width$o}\0", width = field.len() - 1);
    put(field, digits.as_bytes());
}

/// The name in the fields of `header`, as far as they say it.
pub(super) fn name_in(header: &Block) -> Vec<u8> {
    let text = |field: &[u8]| field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let (prefix, name) = (text(&header[345..500]), text(&header[..NAME]));
    if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
}

/// The size that `header` states in octal digits. Whether these are the right ones, only a comparison
/// with the header that is made of it tells.
pub(super) fn size_in(header: &Block) -> Option<u64> {
    let digits = std::str::from_utf8(&header[124..135]).ok()?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    u64::from_str_radix(digits, 8).ok().filter(|_| plain)
}

/// The length of the name that follows `header`, where it is the header of a long name.
pub(super) fn long_name_in(header: &Block) -> Option<usize> {
    let told = header[156] == b'L';
    let length = size_in(header).and_then(|size| usize::try_from(size).ok()?.checked_sub(1));
    length.filter(|length| told && (1..=MAX_NAME).contains(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tar` (the crate), by which all bundles were written before, puts before an entry.
    fn by_another(name: &str, kind: TarType, size: u64) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        let folder = kind == TarType::Folder;
        let entry = if folder { tar::EntryType::Directory } else { tar::EntryType::Regular };
        header.set_entry_type(entry);
        header.set_mode(if folder { FOLDER } else { FILE });
        header.set_size(size);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_data(&mut header, name, std::io::empty()).expect("in memory");
        let mut bytes = tar.into_inner().expect("in memory");
        bytes.truncate(bytes.len() - 2 * BLOCK);
        bytes
    }

    #[test]
    fn headers_are_those_of_the_writer_before() {
        let mut tried = 0;
        for above in [1, 20, 57, 58, 99, 100] {
            for middle in [1, 30, 49, 50, 51, 52, 98, 99, 100] {
                for last in [1, 3, 98, 99, 100] {
                    let name = ["runs", &"a".repeat(above), &"b".repeat(middle), &"c".repeat(last)];
                    for (name, kind) in [
                        (name[..2].join("/"), TarType::File),
                        (name.join("/"), TarType::File),
                        (format!("{}/", name.join("/")), TarType::Folder),
                    ] {
                        let size =
                            if kind == TarType::File { (name.len() as u64) << 20 } else { 0 };
                        let head = Head::of(&name, kind, size).expect("an entry");
                        let ours = [head.long.unwrap_or_default(), head.header.to_vec()].concat();
                        assert!(ours == by_another(&name, kind, size), "{name}");
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 800);
    }

    #[test]
    fn what_a_header_says_is_read_again() {
        for (name, kind, size) in
            [("a/b", TarType::File, 0), ("a/", TarType::Folder, 0), ("x", TarType::File, MAX_FILE)]
        {
            let Head { long, header } = Head::of(name, kind, size).expect("an entry");
            let said = (long, name_in(&header), size_in(&header), long_name_in(&header));
            assert_eq!(said, (None, name.as_bytes().to_vec(), Some(size), None));
        }
        let name = format!("{}/{}/{}", "x".repeat(99), "x".repeat(99), "y".repeat(99));
        let head = Head::of(&name, TarType::File, 7).expect("an entry");
        let long = head.long.expect("too long for ustar");
        let first = long[..BLOCK].try_into().expect("a block");
        assert_eq!(long_name_in(first), Some(name.len()));
        for (name, kind, size) in [
            ("x", TarType::File, MAX_FILE + 1),
            ("x/", TarType::Folder, 1),
            ("x", TarType::Folder, 0),
            ("x/", TarType::File, 0),
            ("x\0y", TarType::File, 0),
            (&"x".repeat(120), TarType::File, 0),
        ] {
            assert_eq!(Head::of(name, kind, size), None, "{name}");
        }
    }
}
