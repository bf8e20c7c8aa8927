//! Owns the reading of a bundle, entry by entry, in one pass and without writing: only the bytes that
//! our writer makes are accepted, so that every unpacker sees the same names and bytes. What an entry
//! states of itself is held against the limits before a byte of it is read.

use std::io::{self, Cursor, Read};

use super::frame::Frame;
use super::header::{BLOCK, Block, Head, TarType, long_name_in, name_in, size_in};
use super::name::{Name, NameOrder};
use super::{BundleError, Limits};
use crate::id::RunId;
use crate::layout::BAG_INFO;
use crate::sizes::{MAX_TAG_FILE, SLACK, UNSTATED, largest, payload_in};

/// An entry of a bundle.
#[derive(Debug)]
pub struct TarEntry {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: TarType,
    /// Its bytes.
    pub size: u64,
}

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The runs, by id.
    pub runs: Vec<RunId>,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files and folders.
    pub entries: u64,
}

/// How many bytes a folder may hold below `data/`, by its own `bag-info.txt`.
struct Payload {
    run: RunId,
    most: u64,
    found: u64,
}

/// A bundle that is being read.
pub struct Reader<R: Read> {
    frame: Frame<R>,
    limits: Limits,
    order: NameOrder,
    entries: u64,
    bytes: u64,
    payload: Option<Payload>,
    /// Bytes of the entry that are still in the frame, and zeros behind them.
    left: u64,
    padding: u64,
    /// What was read of the entry ahead of whoever reads it.
    ahead: Cursor<Vec<u8>>,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Read the bundle `packed`, within `limits`.
    ///
    /// # Errors
    /// [`BundleError`] for what does not begin like one.
    pub fn open(packed: R, limits: Limits) -> Result<Self, BundleError> {
        Ok(Self {
            frame: Frame::open(packed)?,
            limits,
            order: NameOrder::default(),
            entries: 0,
            bytes: 0,
            payload: None,
            left: 0,
            padding: 0,
            ahead: Cursor::default(),
            ended: false,
        })
    }

    /// The next entry, whose bytes are then read from `self`; none at the end, behind which nothing
    /// follows.
    ///
    /// # Errors
    /// [`BundleError`] for what our writer does not make, or more than the limits allow.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, BundleError> {
        if self.ended {
            return Ok(None);
        }
        self.pass_over()?;
        let Some((name, kind, size)) = self.head()? else {
            self.ended = true;
            return Ok(None);
        };
        let name = Name::read(&name)?;
        self.order.follow(&name, kind)?;
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(BundleError::TooMuch(format!("{} entries", self.limits.entries)));
        }
        self.allow(&name, size)?;
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        if name.inside() == Some(BAG_INFO) {
            self.read_payload(name.run(), size)?;
        }
        Ok(Some(TarEntry { name, kind, size }))
    }

    /// Read to the end: everything is as our writer makes it.
    ///
    /// # Errors
    /// [`BundleError`] where it is not.
    pub fn close(mut self) -> Result<Survey, BundleError> {
        while self.next_entry()?.is_some() {}
        self.frame.close()?;
        Ok(Survey { runs: self.order.end()?, bytes: self.bytes, entries: self.entries })
    }

    /// What is left of the entry, and the zeros behind it.
    fn pass_over(&mut self) -> Result<(), BundleError> {
        io::copy(self, &mut io::sink())?;
        if self.left > 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut zeros = [0; BLOCK];
        let padding = usize::try_from(self.padding).expect("less than a block");
        self.frame.read_exact(&mut zeros[..padding])?;
        self.padding = 0;
        self.ahead = Cursor::default();
        if zeros.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        Err(not("an entry is not filled up with zeros"))
    }

    /// The header of the next entry; none at the end, which are two blocks of zeros.
    fn head(&mut self) -> Result<Option<(Vec<u8>, TarType, u64)>, BundleError> {
        let header = self.block()?;
        if header == [0; BLOCK] {
            if self.block()? == [0; BLOCK] {
                return Ok(None);
            }
            return Err(not("one block of zeros does not end a tar, two do"));
        }
        let Some(length) = long_name_in(&header) else {
            return same(&name_in(&header), None, &header);
        };
        let mut name = vec![0; (length + 1).next_multiple_of(BLOCK)];
        self.frame.read_exact(&mut name)?;
        let long = [&header[..], &name].concat();
        name.truncate(length);
        same(&name, Some(long), &self.block()?)
    }

    fn block(&mut self) -> Result<Block, BundleError> {
        let mut block = [0; BLOCK];
        self.frame.read_exact(&mut block)?;
        Ok(block)
    }

    /// Whether an entry of that size may come.
    fn allow(&mut self, name: &Name, size: u64) -> Result<(), BundleError> {
        let too_much = |most: u64, of: &str| {
            Err(BundleError::TooMuch(format!(
                "{most} bytes{of}, as the entry {} says",
                name.path()
            )))
        };
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.bytes {
            return too_much(self.limits.bytes, "");
        }
        let inside = name.inside().unwrap_or_default();
        let most = if name.is_proof() { MAX_TAG_FILE } else { largest(inside) };
        if size > most {
            return too_much(most, " in a file of its kind");
        }
        if !inside.starts_with("data/") {
            return Ok(());
        }
        if self.payload.as_ref().is_none_or(|payload| payload.run != name.run()) {
            self.payload = Some(Payload { run: name.run(), most: UNSTATED, found: 0 });
        }
        let payload = self.payload.as_mut().expect("just set");
        payload.found = payload.found.saturating_add(size);
        let most = payload.most;
        if payload.found > most {
            too_much(most, " below data/, by its bag-info.txt")
        } else {
            Ok(())
        }
    }

    /// Read `bag-info.txt` of `run` ahead, and take from it how much may come below `data/`.
    fn read_payload(&mut self, run: RunId, size: u64) -> Result<(), BundleError> {
        let mut text = Vec::new();
        (&mut self.frame).take(size).read_to_end(&mut text)?;
        if text.len() as u64 != size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let most = payload_in(&text).map_or(UNSTATED, |bytes| bytes.saturating_add(SLACK));
        self.payload = Some(Payload { run, most, found: 0 });
        self.ahead = Cursor::new(text);
        self.left = 0;
        Ok(())
    }
}

/// The bytes of the entry.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return self.ahead.read(buffer);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.frame.read(&mut buffer[..most])?;
        self.left -= count as u64;
        Ok(count)
    }
}

fn kind_and_size(header: &Block) -> Result<(TarType, u64), BundleError> {
    let kind = match header[156] {
        b'0' => TarType::File,
        b'5' => TarType::Folder,
        flag => {
            let name = name_in(header).escape_ascii().to_string();
            let message = format!("{name} is an entry of the kind {:?}", char::from(flag));
            return Err(BundleError::NotABundle(message));
        }
    };
    let size = size_in(header).ok_or_else(|| not("the size of an entry is not in octal digits"))?;
    Ok((kind, size))
}

/// The entry `name`, if it lies there as our writer writes it.
fn same(
    name: &[u8],
    long: Option<Vec<u8>>,
    header: &Block,
) -> Result<Option<(Vec<u8>, TarType, u64)>, BundleError> {
    let (kind, size) = kind_and_size(header)?;
    let made = std::str::from_utf8(name).ok().and_then(|name| Head::of(name, kind, size));
    if made.is_some_and(|made| made.long == long && made.header == *header) {
        return Ok(Some((name.to_vec(), kind, size)));
    }
    let name = name.escape_ascii();
    Err(BundleError::NotABundle(format!("the header of {name} is not written as ours are")))
}

fn not(why: &str) -> BundleError {
    BundleError::NotABundle(why.to_owned())
}
