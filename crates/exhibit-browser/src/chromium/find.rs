//! Owns the search for the browser's binary. Only real binaries are taken, never Debian's wrapper
//! scripts: those add flags of their own, and one of them stays in between as a shell.

use std::path::{Path, PathBuf};

use crate::error::{CaptureError, ErrorKind};

/// Where Debian and others put the binary, the leanest first: the headless shell starts in half
/// the time and needs half the memory.
const PLACES: &[&str] = &[
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib64/chromium-browser/headless_shell",
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium/chrome",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/opt/google/chrome/chrome",
];

/// The browser to start: `configured`, else the first that is there.
///
/// # Errors
/// `browser_unavailable` with the remedy.
pub fn browser(configured: Option<&Path>) -> Result<PathBuf, CaptureError> {
    let Some(path) = configured else {
        return PLACES
            .iter()
            .map(Path::new)
            .find(|path| is_binary(path))
            .map(Path::to_owned)
            .ok_or_else(|| {
                let message = "no Chromium found; install the package chromium-headless-shell (or \
                               chromium), or set `path` in [browser]";
                CaptureError::new(ErrorKind::BrowserUnavailable, message)
            });
    };
    if is_binary(path) {
        return Ok(path.to_owned());
    }
    let what = if path.exists() { "is a script or no program" } else { "does not exist" };
    let message = format!(
        "`browser.path` {} {what}; give the browser's own binary, like {}",
        path.display(),
        PLACES[0]
    );
    Err(CaptureError::new(ErrorKind::BrowserUnavailable, message).field("browser.path"))
}

/// Whether the browser at `path` is the headless shell, which needs no `--headless`.
pub fn is_headless_shell(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.contains("headless-shell") || name.contains("headless_shell")
}

/// Whether `path` is an ELF program.
fn is_binary(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    read.is_ok() && &magic == b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_script_or_nothing_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut script = tempfile::NamedTempFile::new_in(folder.path()).expect("a file");
        script.write_all(b"#!/bin/sh\n").expect("written");
        for path in [script.path().to_owned(), folder.path().join("missing")] {
            let problem = browser(Some(&path)).expect_err("no browser");
            assert_eq!(problem.kind, ErrorKind::BrowserUnavailable);
            assert!(problem.message.contains("give the browser's own binary"), "{problem}");
        }
    }

    #[test]
    fn the_shell_is_known_by_its_name() {
        assert!(is_headless_shell(Path::new(PLACES[0])));
        assert!(!is_headless_shell(Path::new("/usr/lib/chromium/chromium")));
    }
}
