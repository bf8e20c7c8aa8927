//! Owns the daemon's use of fs-verity: whether it holds in a store, by trying, and enabling it on what is
//! sealed. It needs neither the guard nor a capability.

use std::io;
use std::path::Path;

use crate::disk::canary::Canary;
use crate::disk::verity;

/// Whether fs-verity holds in the store at `store`, by trying it on a canary.
///
/// # Errors
/// Why it does not, in words.
pub fn measure(store: &Path) -> Result<(), String> {
    let canary = Canary::make(store).map_err(|error| format!("no canary can be made: {error}"))?;
    canary.enable_verity().map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => {
            "the kernel has no fs-verity, or the file system was made without".to_owned()
        }
        _ => error.to_string(),
    })?;
    let attempts = canary.attack_file();
    let passed: Vec<&str> =
        attempts.iter().filter(|one| !one.refused).map(|one| one.what).collect();
    if !passed.is_empty() {
        return Err(format!("not refused: {}", passed.join(", ")));
    }
    match canary.is_measured() {
        Ok(true) => Ok(()),
        Ok(false) => Err("the kernel's digest of a file is another than its content's".to_owned()),
        Err(error) => Err(format!("the kernel's digest of a file cannot be read: {error}")),
    }
}

/// Enable it on the sealed folder or archive at `path`. What is immutable already has to stay without,
/// which is no error. Whether it may be made immutable now; not while a file is still open for writing.
pub fn enable(path: &Path) -> bool {
    match verity::enable_below(path) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => false,
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "what is sealed has no fs-verity, or not all of it");
            true
        }
    }
}

/// Whether all of the sealed folder or archive at `path` has it.
pub fn is_enabled(path: &Path) -> bool {
    verity::all_have(path).unwrap_or(false)
}
