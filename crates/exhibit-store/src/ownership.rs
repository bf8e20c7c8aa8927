//! Owns the question whether a file is in its owner's hands alone: who owns it, who else may use it,
//! and who could exchange it by way of a folder above. Looks and says; changes nothing.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Permission bits of group and others.
const SHARED: u32 = 0o077;
/// Write permission of the group, of others.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In such a folder nobody exchanges what belongs to another (chmod(1), RESTRICTED DELETION FLAG).
const STICKY: u32 = 0o1000;
/// root.
const ROOT: u32 = 0;

/// Why a file is not in its owner's hands alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The file or folder it is about.
    pub path: PathBuf,
    /// What was found: owner or mode.
    pub found: String,
    /// The command that mends it.
    pub remedy: String,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; run: {}", self.path.display(), self.found, self.remedy)
    }
}

/// What a file is for, and so who may reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A secret: its owner may read it, nobody else may do anything.
    Secret,
    /// A public file or a socket: others may use it, but not write it or put another in its place.
    Shown,
}

/// What exposes the file `path` to others than the user of this process and root: its own mode and
/// owner, and those of the folders it is reached through, links followed. None when nothing does.
///
/// For root the owner of the folder counts as well: what root looks at is the daemon's.
///
/// # Errors
/// What the system answers, `NotFound` when there is no such file.
pub fn exposure(path: &Path, used: Use) -> io::Result<Option<Exposure>> {
    let metadata = fs::metadata(path)?;
    let owners = owners(path)?;
    if !owners.contains(&metadata.uid()) {
        return Ok(Some(foreign(path, metadata.uid(), &owners)));
    }
    let mode = metadata.mode() & 0o7777;
    let taken = match used {
        Use::Secret => mode & SHARED,
        Use::Shown => 0,
    };
    if taken != 0 {
        let found = format!("can be used by others (mode {mode:04o})");
        let remedy = format!("chmod {:03o} {}", mode & 0o700, path.display());
        return Ok(Some(Exposure { path: path.to_owned(), found, remedy }));
    }
    if used == Use::Shown && metadata.is_file() && mode & (GROUP_WRITES | OTHERS_WRITE) != 0 {
        let found = format!("can be written by others (mode {mode:04o})");
        let remedy = format!("chmod go-w {}", path.display());
        return Ok(Some(Exposure { path: path.to_owned(), found, remedy }));
    }
    // A link's own folder counts, and so does the one that it leads to.
    let named = std::path::absolute(path)?;
    let real = path.canonicalize()?;
    let folders = real.ancestors().skip(1).chain(named.ancestors().skip(1));
    for folder in folders {
        if let Some(exposure) = replaceable(folder, &owners)? {
            return Ok(Some(exposure));
        }
    }
    Ok(None)
}

/// What would expose a file that is made in `folder`, or in a folder made below it: who owns that, and
/// those above, and who else may write to them.
///
/// # Errors
/// What the system answers, `NotFound` when there is no such folder.
pub fn exposure_in(folder: &Path) -> io::Result<Option<Exposure>> {
    let real = folder.canonicalize()?;
    let user = rustix::process::geteuid().as_raw();
    let mut owners = vec![user, ROOT];
    if user == ROOT {
        owners.push(fs::metadata(&real)?.uid());
    }
    for folder in real.ancestors() {
        if let Some(exposure) = replaceable(folder, &owners)? {
            return Ok(Some(exposure));
        }
    }
    Ok(None)
}

/// Who may own a file of ours.
fn owners(path: &Path) -> io::Result<Vec<u32>> {
    let user = rustix::process::geteuid().as_raw();
    let mut owners = vec![user, ROOT];
    if user == ROOT {
        let folder = path.canonicalize()?;
        owners.push(fs::metadata(folder.parent().unwrap_or(&folder))?.uid());
    }
    Ok(owners)
}

/// Whether others could exchange what lies in `folder`.
fn replaceable(folder: &Path, owners: &[u32]) -> io::Result<Option<Exposure>> {
    let metadata = fs::metadata(folder)?;
    if !owners.contains(&metadata.uid()) {
        return Ok(Some(foreign(folder, metadata.uid(), owners)));
    }
    let mode = metadata.mode() & 0o7777;
    // A group with its user's number is that user's own, by the convention of Debian and others.
    let group = if metadata.gid() == metadata.uid() { 0 } else { GROUP_WRITES };
    if mode & STICKY != 0 || mode & (group | OTHERS_WRITE) == 0 {
        return Ok(None);
    }
    let found =
        format!("can be written by others (mode {mode:04o}), who could put another file in");
    let remedy = format!("chmod go-w {}", folder.display());
    Ok(Some(Exposure { path: folder.to_owned(), found, remedy }))
}

fn foreign(path: &Path, owner: u32, owners: &[u32]) -> Exposure {
    // Beside root there is one.
    let user = owners.iter().max().copied().unwrap_or(ROOT);
    let found = format!("belongs to the user {owner}, not to the daemon's ({user})");
    let remedy = format!("chown {user} {}", path.display());
    Exposure { path: path.to_owned(), found, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk;

    /// A file in a folder in a folder, all private.
    fn file() -> (tempfile::TempDir, PathBuf) {
        let top = tempfile::tempdir().expect("a folder");
        let path = top.path().join("a/b/key");
        disk::make_dirs(path.parent().expect("a folder")).expect("made");
        disk::write_once(&path, b"secret").expect("written");
        (top, path)
    }

    fn told(path: &Path, used: Use) -> Option<Exposure> {
        exposure(path, used).expect("readable")
    }

    #[test]
    fn a_private_file_in_private_folders_is_exposed_to_nobody() {
        let (_top, path) = file();
        assert_eq!(told(&path, Use::Secret), None);
        assert_eq!(told(&path, Use::Shown), None);
        let missing = exposure(&path.with_extension("x"), Use::Secret).expect_err("missing");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_exposed_by_the_folders_it_would_lie_in() {
        let (top, path) = file();
        let folder = path.parent().expect("a folder");
        assert_eq!(exposure_in(folder).expect("readable"), None);
        disk::set_mode(&top.path().join("a"), 0o702).expect("set");
        let found = exposure_in(folder).expect("readable").expect("exposed");
        assert!(found.remedy.starts_with("chmod go-w "), "{found}");
        // In a folder like /tmp nobody exchanges what is another's.
        disk::set_mode(&top.path().join("a"), 0o1777).expect("set");
        assert_eq!(exposure_in(folder).expect("readable"), None);
    }

    #[test]
    fn every_bit_for_others_exposes_a_secret_and_the_remedy_mends_it() {
        let (_top, path) = file();
        for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601] {
            disk::set_mode(&path, mode).expect("set");
            let found = told(&path, Use::Secret).expect("exposed");
            assert_eq!(found.path, path);
            assert!(found.to_string().contains(&format!("{mode:04o}")), "{found}");
            let mended = std::process::Command::new("sh").args(["-c", &found.remedy]).status();
            assert!(mended.expect("a shell").success());
            assert_eq!(told(&path, Use::Secret), None, "{mode:o}");
        }
        disk::set_mode(&path, 0o644).expect("set");
        assert_eq!(told(&path, Use::Shown), None);
        disk::set_mode(&path, 0o664).expect("set");
        assert!(told(&path, Use::Shown).is_some());
    }

    #[test]
    fn a_folder_that_others_write_exposes_what_lies_below() {
        let (top, path) = file();
        for folder in [top.path().join("a/b"), top.path().join("a")] {
            disk::set_mode(&folder, 0o702).expect("set");
            let found = told(&path, Use::Secret).expect("exposed");
            assert_eq!(found.path, folder.canonicalize().expect("there"));
            assert!(found.remedy.starts_with("chmod go-w "), "{found}");
            // Like /tmp: nobody exchanges another's file.
            disk::set_mode(&folder, 0o1777).expect("set");
            assert_eq!(told(&path, Use::Secret), None);
            disk::set_mode(&folder, 0o700).expect("set");
        }
    }

    #[test]
    fn a_link_is_followed_and_its_own_folder_counts() {
        let (top, path) = file();
        let open = top.path().join("open");
        disk::make_dirs(&open).expect("made");
        std::os::unix::fs::symlink(&path, open.join("link")).expect("linked");
        assert_eq!(told(&open.join("link"), Use::Secret), None);
        disk::set_mode(&open, 0o707).expect("set");
        assert!(told(&open.join("link"), Use::Secret).is_some(), "the link can be exchanged");
        assert_eq!(told(&path, Use::Secret), None);
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_top, path) = file();
        std::os::unix::fs::chown(&path, Some(12345), None).expect("root may");
        let found = told(&path, Use::Secret).expect("exposed");
        assert!(found.found.contains("12345"), "{found}");
        // What root looks at may be the daemon's, all of it.
        let folder = path.parent().expect("a folder");
        std::os::unix::fs::chown(folder, Some(12345), None).expect("root may");
        assert_eq!(told(&path, Use::Secret), None);
        let above = folder.parent().expect("a folder");
        std::os::unix::fs::chown(above, Some(54321), None).expect("root may");
        assert_eq!(told(&path, Use::Secret).expect("exposed").path, above);
    }
}
