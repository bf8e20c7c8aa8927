//! Owns the checks of what keeps sealed evidence as it is: whether it can be watched.

use std::fs;
use std::path::Path;

use super::Check;
use crate::config::Config;
use crate::integrity::Folders;

/// Whether the kernel gives as many watches as the store has folders.
pub(super) fn watch(config: &Config) -> Check {
    const NAME: &str = "watch";
    if !config.integrity.watch {
        let remedy = "remove `watch = false` from [integrity]; until then only the scrubber looks";
        return Check::warning(NAME, "off, because the configuration says so", remedy);
    }
    let root = &config.store.path;
    if let Err(error) = fs::read_dir(root)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        let remedy = "run doctor as the daemon's user";
        return Check::warning(NAME, format!("unknown: {}: {error}", root.display()), remedy);
    }
    judge(NAME, Folders::parts(root).iter().map(|part| count(part)).sum(), Folders::most())
}

fn judge(name: &'static str, folders: usize, most: usize) -> Check {
    let found = format!("{folders} folders, and the kernel gives {most} watches");
    if folders <= most / 2 {
        return Check::ok(name, found);
    }
    let wanted = (folders * 4).next_power_of_two();
    Check::warning(
        name,
        found,
        format!(
            "sysctl fs.inotify.max_user_watches={wanted}; what is not watched only the scrubber reads"
        ),
    )
}

/// `folder` and the folders below it, no link followed.
fn count(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    1 + below.map(|entry| count(&entry.path())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn folders_are_held_against_what_the_kernel_gives() {
        assert_eq!(judge("watch", 10, 20).health, Health::Ok);
        let check = judge("watch", 11, 20);
        assert_eq!(check.health, Health::Warning);
        assert!(check.remedy.is_some_and(|remedy| remedy.contains("max_user_watches=64")));
    }

    #[test]
    fn the_folders_of_a_store_are_counted_and_no_link_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.store.path = folder.path().join("store");
        assert!(watch(&config).found.starts_with("0 folders"), "none yet");
        crate::disk::make_dirs(&config.store.path.join("runs/2026/11")).expect("made");
        crate::disk::make_dirs(&config.store.path.join("log")).expect("made");
        crate::disk::make_dirs(&config.store.path.join("open/x")).expect("made");
        std::os::unix::fs::symlink("/", config.store.path.join("runs/link")).expect("linked");
        assert!(watch(&config).found.starts_with("4 folders"), "{:?}", watch(&config));
        config.integrity.watch = false;
        assert_eq!(watch(&config).health, Health::Warning);
    }
}
