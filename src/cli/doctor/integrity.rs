//! Owns the checks of what keeps sealed evidence as it is: whether it can be watched, what modes and
//! the flags and fs-verity keep from it, each by trying to break a canary.

use std::fs;
use std::path::{Path, PathBuf};

use super::Check;
use crate::config::Config;
use crate::disk::canary::Canary;
use crate::disk::flags::{is_append_only, is_immutable};
use crate::evidence::log::{self, LogReader};
use crate::evidence::{archived_in, days_in, sealed_in};
use crate::integrity::Folders;
use crate::integrity::guard::{self, Flag, GuardCommand};
use crate::integrity::verity;
use crate::tlog::tile::Tile;

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

/// What the modes of a sealed folder keep this user from.
pub(super) fn modes(store: &Path) -> Check {
    const NAME: &str = "read-only";
    if !store.is_dir() {
        return Check::ok(NAME, "no store yet: made at the first start");
    }
    let attempts = match Canary::make(store) {
        Ok(canary) => canary.attack(),
        Err(error) => {
            let found = format!("unknown: no canary can be made in {}: {error}", store.display());
            return Check::warning(NAME, found, "run doctor as the daemon's user");
        }
    };
    let told = |refused| -> Vec<&str> {
        attempts.iter().filter(|one| one.refused == refused).map(|one| one.what).collect()
    };
    let (refused, passed) = (told(true).join(", "), told(false).join(", "));
    if rustix::process::geteuid().is_root() {
        let remedy = "modes do not hold root: set up the guard, and keep checkpoints elsewhere";
        let refused = if refused.is_empty() { "nothing" } else { &refused };
        return Check::warning(NAME, format!("this is root, who is refused {refused}"), remedy);
    }
    let found = format!(
        "modes keep this user from: {refused}; they do not keep it from {passed}, which `exhibit verify` \
         tells and the guard prevents"
    );
    if refused.contains("write") {
        Check::ok(NAME, found)
    } else {
        Check::failed(NAME, found, "put the store on a file system that knows modes")
    }
}

/// Whether the immutable flag holds, and how many sealed folders and archives have it.
pub(super) fn immutable(config: &Config) -> Check {
    let store = &config.store.path;
    held(config, "immutable flag", Flag::Immutable, || {
        let with = sealed(store).filter(|path| is_immutable(path).unwrap_or(false)).count();
        let sealed = sealed(store).count();
        let (tiles, full) = tiles(store);
        format!(
            "{with} of {sealed} sealed folders and archives have it, {tiles} of {full} full tiles of the \
             log"
        )
    })
}

/// How many full tiles of the log are immutable, and how many there are.
fn tiles(store: &Path) -> (usize, usize) {
    let size = LogReader::of_store(store).checkpoint().map_or(0, |(_, checkpoint)| checkpoint.size);
    let full = Tile::all(size).filter(|tile| tile.is_full());
    let paths: Vec<PathBuf> =
        full.map(|tile| store.join(log::FOLDER).join(tile.to_string())).collect();
    let with = paths.iter().filter(|path| is_immutable(path).unwrap_or(false)).count();
    (with, paths.len())
}

/// Whether the append-only flag holds, and how many folders of days have it.
pub(super) fn append_only(config: &Config) -> Check {
    let days = days_in(&config.store.path);
    held(config, "append-only flag", Flag::AppendOnly, || {
        let with = days.iter().filter(|path| is_append_only(path).unwrap_or(false)).count();
        format!("{with} of {} folders of days have it", days.len())
    })
}

fn held(config: &Config, name: &'static str, flag: Flag, count: impl Fn() -> String) -> Check {
    const REMEDY: &str =
        "see `The guard` in docs/OPERATIONS.md; until then modes and signatures stand alone";
    let store = &config.store.path;
    if !store.is_dir() {
        return Check::ok(name, "no store yet: made at the first start");
    }
    let Some(socket) = &config.integrity.guard else {
        let can = match guard::measure(store, flag) {
            Ok(()) => "it holds here when it is set, but nobody sets it".to_owned(),
            Err(why) => format!("tried as this user, who may lack the capability: {why}"),
        };
        let found = format!("no guard is configured ({can}); {}", count());
        return Check::warning(name, found, REMEDY);
    };
    match guard::ask(socket, GuardCommand::Measure(flag)) {
        Ok(()) => Check::ok(name, format!("active: a canary withstood all attempts; {}", count())),
        Err(why) => Check::warning(name, format!("not active: {why}; {}", count()), REMEDY),
    }
}

/// Whether fs-verity holds, and how many sealed folders and archives have it.
pub(super) fn verity(store: &Path) -> Check {
    const NAME: &str = "fs-verity";
    if !store.is_dir() {
        return Check::ok(NAME, "no store yet: made at the first start");
    }
    let with = sealed(store).filter(|path| verity::is_enabled(path)).count();
    let count = format!("{with} of {} sealed folders and archives have it", sealed(store).count());
    // Few machines have it, and nothing is amiss without.
    Check::ok(
        NAME,
        match verity::measure(store) {
            Ok(()) => format!("active: a canary withstood all attempts; {count}"),
            Err(why) => format!("not active: {why}; {count}"),
        },
    )
}

fn sealed(store: &Path) -> impl Iterator<Item = PathBuf> {
    sealed_in(store).chain(archived_in(store).map(|(_, archive)| archive))
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
    fn what_holds_is_found_out_by_trying() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.store.path = folder.path().join("store");
        assert_eq!(modes(&config.store.path).health, Health::Ok, "nothing to try it on");
        crate::disk::make_dirs(&config.store.path).expect("made");
        let check = modes(&config.store.path);
        if rustix::process::geteuid().is_root() {
            assert_eq!(
                (check.health, &*check.found),
                (Health::Warning, "this is root, who is refused nothing")
            );
        } else {
            assert_eq!(check.health, Health::Ok, "{check:?}");
        }
        for flag in [Flag::Immutable, Flag::AppendOnly] {
            let look = if flag == Flag::Immutable { immutable } else { append_only };
            config.integrity.guard = None;
            let check = look(&config);
            assert_eq!(check.health, Health::Warning, "{check:?}");
            let can = guard::measure(&config.store.path, flag).is_ok();
            assert_eq!(check.found.contains("it holds here"), can, "{check:?}");
            config.integrity.guard = Some(folder.path().join("nobody.sock"));
            let check = look(&config);
            assert!(check.found.starts_with("not active: the guard on "), "{check:?}");
        }
        let check = verity(&config.store.path);
        let can = verity::measure(&config.store.path).is_ok();
        assert_eq!(
            (check.health, check.found.starts_with("active")),
            (Health::Ok, can),
            "{check:?}"
        );
        assert_eq!(fs::read_dir(&config.store.path).expect("there").count(), 0, "nothing is left");
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
