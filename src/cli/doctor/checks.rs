//! Owns the single checks: each looks at one thing and says what it found.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use ssh_key::HashAlg;

use super::Check;
use crate::backend::chromium::find;
use crate::cli::keys::log_key;
use crate::config::{self, Config};
use crate::daemon::{descriptors, preflight};
use crate::disk;
use crate::error::chain;
use crate::evidence::log::LoggedKeys;
use crate::evidence::{Amiss, Signer, Signers, StoreError};
use crate::ownership::{Use, exposure};

const MIB: u64 = 1024 * 1024;

pub(super) fn browser(configured: Option<&Path>) -> Check {
    const NAME: &str = "browser";
    let path = match find::browser(configured) {
        Ok(path) => path,
        Err(problem) => {
            let remedy = "apt-get install chromium-headless-shell, or set `path` in [browser]";
            return Check::failed(NAME, problem.message, remedy);
        }
    };
    let shown = path.display();
    match answer(Command::new(&path).arg("--version")) {
        Ok(version) if !find::is_headless_shell(&path) => {
            let remedy =
                "chromium-headless-shell starts in half the time and needs half the memory";
            Check::warning(NAME, format!("{version} at {shown}"), remedy)
        }
        Ok(version) => Check::ok(NAME, format!("{version} at {shown}")),
        Err(error) => {
            let remedy = "reinstall the browser's package: it lacks something it needs";
            Check::failed(NAME, format!("{shown} does not start ({error})"), remedy)
        }
    }
}

pub(super) fn retention(kept: &config::Retention) -> Check {
    const NAME: &str = "retention";
    // Six months, the least that the EU AI Act asks of logs (articles 19 and 26(6)).
    const LEAST: u32 = 183;
    let all = kept.classes.iter().map(|(name, days)| (name.as_str(), *days));
    let all = all.chain([("default", kept.default)]);
    let short: Vec<String> = all
        .filter(|(_, days)| *days < LEAST)
        .map(|(name, days)| format!("{name} {days} days"))
        .collect();
    if short.is_empty() {
        return Check::ok(NAME, format!("{} days, {} classes", kept.default, kept.classes.len()));
    }
    let remedy = "six months are the least that the EU AI Act asks of logs; see [retention]";
    Check::warning(NAME, format!("short: {}", short.join(", ")), remedy)
}

pub(super) fn sandbox(wanted: bool) -> Check {
    const NAME: &str = "sandbox";
    let root = rustix::process::geteuid().is_root();
    if !wanted {
        let remedy = "remove `sandbox = false` from [browser], unless this is a CI machine";
        return Check::warning(NAME, "off, because the configuration says so", remedy);
    }
    if root {
        let remedy = "run the daemon as a user of its own; systemd/exhibit.service does";
        return Check::failed(NAME, "this is root, for whom it does not work", remedy);
    }
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<i64>().ok();
    // Debian's switch, the kernel's own, and Ubuntu's AppArmor one; absent means not restricted.
    if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        let remedy = "sysctl kernel.unprivileged_userns_clone=1";
        return Check::failed(NAME, "user namespaces are switched off", remedy);
    }
    if number("/proc/sys/user/max_user_namespaces") == Some(0) {
        let remedy = "sysctl user.max_user_namespaces=10000";
        return Check::failed(NAME, "user namespaces are limited to none", remedy);
    }
    if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        let remedy = "give the browser an AppArmor profile that allows userns";
        return Check::warning(NAME, "AppArmor restricts user namespaces", remedy);
    }
    Check::ok(NAME, "usable: user namespaces are there")
}

/// Whether fontconfig knows a font for `pattern`.
pub(super) fn font(name: &'static str, pattern: &str, package: &str) -> Check {
    let remedy = format!("apt-get install {package}; pages show boxes otherwise");
    match answer(Command::new("fc-list").args([pattern, "family"])) {
        Ok(families) if families.is_empty() => Check::warning(name, "no font for it", remedy),
        Ok(families) => Check::ok(name, families.lines().next().unwrap_or_default()),
        Err(_) => {
            let remedy = "apt-get install fontconfig, to have this looked at";
            Check::warning(name, "unknown: fc-list is not there", remedy)
        }
    }
}

pub(super) fn shared_memory() -> Check {
    const NAME: &str = "/dev/shm";
    match disk::free_bytes(Path::new("/dev/shm")) {
        Ok(free) if free >= 256 * MIB => Check::ok(NAME, format!("{} MiB free", free / MIB)),
        Ok(free) => {
            let remedy = "give it 256 MiB; until then the browser uses slower files instead";
            Check::warning(NAME, format!("{} MiB free", free / MIB), remedy)
        }
        Err(error) => {
            let remedy = "mount a tmpfs there; until then the browser uses slower files instead";
            Check::warning(NAME, error.to_string(), remedy)
        }
    }
}

pub(super) fn disk(store: &config::Store) -> Check {
    const NAME: &str = "store's disk";
    // The store is made at the first start: until then, look at what it will be made in.
    let existing = store.path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let shown = existing.display();
    match disk::free_inodes(existing) {
        Ok(Some(free)) if free < store.min_free_inodes => {
            let remedy = format!(
                "free some inodes: below `store.min_free_inodes` ({}) captures are refused",
                store.min_free_inodes
            );
            return Check::failed(NAME, format!("{free} files can be made in {shown}"), remedy);
        }
        _ => {}
    }
    match disk::free_bytes(existing) {
        Ok(free) if free >= 4 * store.min_free.max(MIB) => {
            Check::ok(NAME, format!("{} MiB free in {shown}", free / MIB))
        }
        Ok(free) => {
            let found = format!("{} MiB free in {shown}", free / MIB);
            let remedy = format!(
                "free some: below `store.min_free` ({} MiB) captures are refused",
                store.min_free / MIB
            );
            if free < store.min_free {
                Check::failed(NAME, found, remedy)
            } else {
                Check::warning(NAME, found, remedy)
            }
        }
        Err(error) => Check::failed(NAME, format!("{shown}: {error}"), "check `path` in [store]"),
    }
}

pub(super) fn clock() -> Check {
    const NAME: &str = "clock";
    let remedy = "run a time service (systemd-timesyncd, chrony): times in evidence are the host's";
    let shown =
        answer(Command::new("timedatectl").args(["show", "-p", "NTPSynchronized", "--value"]));
    match shown.as_deref() {
        Ok("yes") => Check::ok(NAME, "synchronised"),
        Ok("no") => Check::warning(NAME, "not synchronised", remedy),
        _ => match answer(Command::new("chronyc").arg("-c").arg("tracking")) {
            Ok(tracking) if !tracking.contains("Not synchronised") => {
                Check::ok(NAME, "synchronised by chrony")
            }
            _ => Check::warning(NAME, "unknown: neither timedatectl nor chronyc tells", remedy),
        },
    }
}

/// Whether only its owner can use a file of secrets, or exchange it.
pub(super) fn key(name: &'static str, path: &Path, when: &str) -> Check {
    let shown = path.display();
    match exposure(path, Use::Secret) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::ok(name, format!("not there yet: {when}"))
        }
        Err(error) => {
            let remedy = "run doctor as the daemon's user, or check the folder's permissions";
            Check::warning(name, format!("{shown}: {error}"), remedy)
        }
        Ok(None) => Check::ok(name, format!("{shown}, nobody else's")),
        Ok(Some(exposure)) => {
            let found = format!("{} {}", exposure.path.display(), exposure.found);
            Check::failed(name, found, exposure.remedy)
        }
    }
}

/// How many files may be open, and how many connections that leaves.
pub(super) fn descriptors(config: &config::Config) -> Check {
    const NAME: &str = "open files";
    let files = descriptors::raise();
    let (connections, wanted) =
        (descriptors::for_connections(files, config), config.daemon.max_connections);
    let found = format!(
        "{files} may be open in this process, which leaves {connections} connections; the daemon's \
         unit sets its own (LimitNOFILE)"
    );
    if connections >= wanted {
        return Check::ok(NAME, found);
    }
    let remedy = format!(
        "raise LimitNOFILE in the daemon's unit: evidence leaves fewer than \
         daemon.max_connections ({wanted})"
    );
    Check::warning(NAME, found, remedy)
}

/// What keeps a daemon from starting, or from making the keys that are not there.
pub(super) fn inventory(config: &config::Config) -> Vec<Check> {
    let told = |amiss: Amiss| {
        let name = match amiss.field() {
            "store.path" => "store",
            "keys.log" => "log key",
            _ => "signing key",
        };
        let found = chain(&amiss);
        // The sentence ends with what mends it.
        let (found, remedy) = found.split_once("; ").unwrap_or((&found, "restore it"));
        Check::failed(name, found, remedy)
    };
    config.inventory().amiss().into_iter().map(told).collect()
}

/// What else keeps a daemon from starting as this user. One that answers has its own socket and port.
pub(super) fn obstacles(config: &config::Config) -> Vec<Check> {
    let serves = UnixStream::connect(&config.daemon.socket).is_ok();
    let obstacles = preflight::obstacles(config).into_iter();
    let told = obstacles.filter(|it| !(serves && it.in_use)).map(|obstacle| {
        let name = match obstacle.key {
            "browser.sandbox" => "sandbox",
            "browser.path" => "browser",
            "store.path" => "store",
            "keys.signing" => "signing key",
            "keys.log" => "log key",
            "browser.runtime" => "browser's folder",
            "daemon.socket_group" => "socket's group",
            "daemon.listen" => "port",
            _ => "daemon",
        };
        Check::failed(name, obstacle.found, obstacle.remedy)
    });
    told.collect()
}

/// What the history of the signing keys says of the one in use.
pub(super) fn signers(config: &Config) -> Check {
    const NAME: &str = "keys' history";
    let keys = &config.keys;
    let again = "have the daemon reload (SIGHUP) or start again";
    let signers = match Signers::open(&keys.signers_file()) {
        Ok(signers) => signers,
        Err(error) => {
            let remedy = "run doctor as the daemon's user, or mend what is said";
            return Check::failed(NAME, chain(&error), remedy);
        }
    };
    let Some(last) = signers.keys().last() else {
        if let Some(check) = against_log(NAME, config, &signers) {
            return check;
        }
        return Check::ok(NAME, "not there yet: begins at the first start");
    };
    if let Some(revoked) = signers.revocation(&last.fingerprint) {
        let found = format!("{} signs and is revoked: {}", last.fingerprint, revoked.reason);
        return Check::failed(NAME, found, again);
    }
    if let Some(check) = against_log(NAME, config, &signers) {
        return check;
    }
    if keys.place().waits() {
        return Check::warning(NAME, "a new key waits to be taken up", again);
    }
    let (all, revoked) = (signers.keys().len(), signers.revoked().len());
    let keys = if all == 1 { "key" } else { "keys" };
    Check::ok(NAME, format!("{all} {keys} in it, {revoked} revoked"))
}

/// In what the history contradicts the log, or says what that does not.
fn against_log(name: &'static str, config: &Config, signers: &Signers) -> Option<Check> {
    let key = match log_key(&config.keys) {
        Ok(key) => key,
        Err(problem) => {
            return Some(Check::failed(
                name,
                problem.message,
                "do what is said, and look who did it",
            ));
        }
    };
    let logged = match LoggedKeys::of_store(&config.store.path, key.as_ref()) {
        Ok(logged) => logged,
        Err(StoreError::NotFound { .. }) => return None,
        Err(error) => {
            let found = format!("cannot be held against the log: {}", chain(&error));
            let remedy = "run doctor as the daemon's user; `exhibit verify` says what is wrong";
            return Some(Check::failed(name, found, remedy));
        }
    };
    let current = Signer::public_at(&config.keys.place()).ok();
    let current = current.map(|key| key.fingerprint(HashAlg::Sha256).to_string());
    let doubts = signers.doubts(&logged, current.as_deref());
    let worst = doubts.iter().max_by_key(|doubt| doubt.contradicts)?;
    let found = format!("{}: {}", worst.field, worst.found);
    let made = if worst.contradicts { Check::failed } else { Check::warning };
    Some(made(name, found, worst.remedy.clone()))
}

/// The key that signs evidence: in a file, or held by an SSH agent, which is asked for it.
pub(super) fn signing_key(keys: &config::Keys) -> Check {
    const NAME: &str = "signing key";
    let Some(socket) = &keys.agent else {
        return key(NAME, &keys.signing, "is made at the first start");
    };
    match Signer::open(&keys.place()) {
        Ok(signer) => {
            let found = format!("{}, held by {}", signer.fingerprint(), socket.display());
            Check::ok(NAME, found)
        }
        Err(error) => {
            let remedy = "run doctor as the daemon's user; start the agent, and ssh-add the key";
            Check::failed(NAME, chain(&error), remedy)
        }
    }
}

/// What is configured of a hosted service, if one is; it is not asked.
pub(super) fn hosted(settings: &config::Hosted) -> Option<Check> {
    const NAME: &str = "hosted backend";
    let base_url = crate::settings::presentable(settings.base_url.as_ref()?);
    Some(match settings.read_key() {
        Err(why) => Check::failed(NAME, why, "set `key_file` in [backend.hosted], mode 600"),
        Ok(_) if settings.key_file.is_none() => {
            let remedy = "put the key into a file of its own, mode 600, and name it as `key_file`";
            Check::warning(NAME, format!("{base_url}, its key in the configuration"), remedy)
        }
        Ok(_) => Check::ok(NAME, format!("{base_url}, its key is there")),
    })
}

pub(super) fn socket(path: &Path) -> Check {
    const NAME: &str = "daemon";
    match UnixStream::connect(path) {
        Ok(_) => Check::ok(NAME, format!("answers on {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let remedy = "add this user to the socket's group (`socket_group` in [daemon])";
            Check::warning(NAME, format!("{}: {error}", path.display()), remedy)
        }
        Err(_) => Check::ok(NAME, format!("not running on {}", path.display())),
    }
}

/// The first words of a command's output, trimmed.
fn answer(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn a_key_that_others_can_read_fails_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        assert_eq!(key("k", &path, "later").health, Health::Ok, "not there yet");
        crate::disk::write_once(&path, b"secret").expect("written");
        assert_eq!(key("k", &path, "later").health, Health::Ok);
        crate::disk::set_mode(&path, 0o640).expect("changed");
        let check = key("k", &path, "later");
        assert_eq!(check.health, Health::Failed);
        assert_eq!(check.remedy, Some(format!("chmod 600 {}", path.display())));
    }

    #[test]
    fn the_hosted_backend_is_looked_at_only_when_there_is_one() {
        let mut settings = config::Hosted::default();
        assert_eq!(hosted(&settings), None);
        settings.base_url = Some("https://pagebolt.dev".parse().expect("an address"));
        let health = |settings: &config::Hosted| hosted(settings).expect("one").health;
        assert_eq!(health(&settings), Health::Failed, "no key");
        settings.key = Some(crate::secret::Secret::new("pf_live_1".to_owned()));
        assert_eq!(health(&settings), Health::Warning);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        crate::disk::write_once(&path, b"pf_live_1").expect("written");
        (settings.key, settings.key_file) = (None, Some(path));
        assert_eq!(health(&settings), Health::Ok);
    }

    #[test]
    fn too_little_room_is_told_apart_from_little_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let free = crate::disk::free_bytes(folder.path()).expect("known");
        let path = folder.path().join("a/b");
        let store = |min_free| config::Store { path: path.clone(), min_free, min_free_inodes: 0 };
        assert_eq!(disk(&store(0)).health, Health::Ok);
        assert_eq!(disk(&store(free / 2)).health, Health::Warning);
        assert_eq!(disk(&store(free * 2)).health, Health::Failed);
        let few = config::Store { min_free_inodes: u64::MAX, ..store(0) };
        let counted = crate::disk::free_inodes(folder.path()).expect("known").is_some();
        assert_eq!(disk(&few).health == Health::Failed, counted);
    }

    #[test]
    fn a_browser_that_is_not_there_fails() {
        assert_eq!(browser(Some(Path::new("/nonexistent"))).health, Health::Failed);
    }
}
