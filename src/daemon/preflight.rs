//! Owns the look at this machine before a daemon makes anything: whether its browser may run, whether
//! this user may make or write what the configuration names, whether socket and port are free. Each
//! obstacle names its configuration key, the value and a remedy. It decides nothing about keys and
//! evidence that are there ([`crate::evidence::Inventory`] does), and leaves nothing behind.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::Access;

use super::socket::{check_group, is_inherited};
use crate::backend::chromium::BrowserSettings;
use crate::backend::chromium::find;
use crate::config::Config;
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::Amiss;
use crate::ownership::exposure_in;

/// One thing that keeps a daemon from starting here.
#[derive(Debug)]
pub struct Obstacle {
    /// The configuration key it is about.
    pub key: &'static str,
    code: Code,
    /// What was found, naming the key's value.
    pub found: String,
    /// What mends it.
    pub remedy: String,
    /// Whether it is only that another program has it: a daemon that runs is no obstacle to itself.
    pub in_use: bool,
}

impl Obstacle {
    fn new(key: &'static str, code: Code, found: String, remedy: impl Into<String>) -> Self {
        Self { key, code, found, remedy: remedy.into(), in_use: false }
    }
}

/// Refuse to start where anything stands in the way, all of it in one go.
///
/// # Errors
/// A line for each obstacle; the code and field of the first.
pub fn check(config: &Config) -> Result<(), Problem> {
    let found = obstacles(config);
    let Some(first) = found.first() else { return Ok(()) };
    let mut lines = vec!["the daemon does not start, and nothing was made or changed:".to_owned()];
    for (index, obstacle) in found.iter().enumerate() {
        let told_next = found.get(index + 1).is_some_and(|next| next.remedy == obstacle.remedy);
        lines.push(if told_next {
            obstacle.found.clone()
        } else {
            format!("{}; {}", obstacle.found, obstacle.remedy)
        });
    }
    let problem = if found.len() == 1 {
        Problem::new(first.code, format!("{} (nothing was made or changed)", lines[1]))
    } else {
        Problem::of_lines(first.code, lines)
    };
    Err(problem.field(first.key))
}

/// Whatever keeps a daemon of `config` from starting here.
pub fn obstacles(config: &Config) -> Vec<Obstacle> {
    let mut found = Vec::new();
    found.extend(sandbox(
        &config.browser,
        "run the daemon as a user of its own (systemd/exhibit.service does)",
    ));
    if let Err(problem) = find::browser(config.browser.path.as_deref()) {
        let (what, remedy) = problem.message.split_once("; ").unwrap_or((&problem.message, ""));
        found.push(Obstacle::new("browser.path", problem.kind.into(), what.to_owned(), remedy));
    }
    found.extend(anothers_store(config));
    found.extend(folders(config));
    if !is_inherited() {
        found.extend(socket(config));
    }
    found.extend(config.daemon.listen.and_then(port));
    found
}

/// Chromium's sandbox, wanted by root, who is to do `instead`.
pub fn sandbox(browser: &BrowserSettings, instead: &str) -> Option<Obstacle> {
    if !browser.sandbox || !rustix::process::geteuid().is_root() {
        return None;
    }
    let found = "`browser.sandbox` is on, and Chromium's sandbox does not work for root".to_owned();
    let remedy = format!("{instead}, or, only on a CI machine, set `sandbox = false` in [browser]");
    Some(Obstacle::new("browser.sandbox", Code::BrowserUnavailable, found, remedy))
}

/// A store of another user's, where this one may not serve it.
fn anothers_store(config: &Config) -> Option<Obstacle> {
    let amiss = config.inventory().amiss().into_iter().next()?;
    let Amiss::Owner { .. } = amiss else { return None };
    let said = amiss.to_string();
    let (found, remedy) = said.split_once("; ").unwrap_or((&said, ""));
    Some(Obstacle::new("store.path", Code::InvalidConfig, found.to_owned(), remedy))
}

/// The folders that a daemon writes to, or makes.
fn folders(config: &Config) -> Vec<Obstacle> {
    let keys = &config.keys;
    let mut wanted = vec![("store.path", config.store.path.clone())];
    // A key that is there is only read.
    let made = keys.agent.is_none() && !is_there(&keys.signing);
    wanted.extend(made.then(|| ("keys.signing", keys.signing.clone())));
    let log = keys.log_file();
    wanted.extend((!is_there(&log)).then_some(("keys.log", log)));
    wanted.push(("browser.runtime", config.browser.runtime.clone()));
    if !is_inherited() {
        wanted.push(("daemon.socket", config.daemon.socket.clone()));
    }
    let refused = wanted.into_iter().filter_map(|(key, path)| {
        let is_folder = matches!(key, "store.path" | "browser.runtime");
        if key == "store.path" && is_of_another(&path) {
            return None; // Said already, with whose it is.
        }
        let folder = if is_folder { path.as_path() } else { path.parent().unwrap_or(&path) };
        let Err(error) = may_write(folder) else {
            return key.starts_with("keys.").then(|| exposed(key, &path, folder))?;
        };
        let (user, path, folder) =
            (rustix::process::geteuid().as_raw(), path.display(), folder.display());
        let found = if is_folder {
            format!("`{key}` is {path}, which the user {user} can neither write nor make: {error}")
        } else {
            format!("`{key}` is {path}, and the user {user} can neither write nor make {folder}: {error}")
        };
        // A disk that became read-only is no mistake in the configuration.
        let read_only = error.kind() == std::io::ErrorKind::ReadOnlyFilesystem;
        let unwritable = key == "store.path" && read_only;
        let code = if unwritable { Code::StoreUnwritable } else { Code::InvalidConfig };
        Some(Obstacle::new(key, code, found, OWN_FOLDERS))
    });
    refused.collect()
}

/// What would expose a key that is made in `folder`, before it is made there.
fn exposed(key: &'static str, path: &Path, folder: &Path) -> Option<Obstacle> {
    let there = folder.ancestors().find(|it| it.exists())?;
    let exposure = exposure_in(there).ok()??;
    let (at, what) = (exposure.path.display(), exposure.found);
    let found = format!("`{key}` is {}, where it would not be safe: {at} {what}", path.display());
    Some(Obstacle::new(key, Code::InvalidConfig, found, format!("run: {}", exposure.remedy)))
}

/// What mends every folder that this user may not write.
const OWN_FOLDERS: &str = "name folders of this user's in a configuration (examples/own-user.toml \
                           does; --config names the file), or run the daemon as the user of its \
                           own that docs/OPERATIONS.md installs";

/// Whether another user owns what is there.
fn is_of_another(path: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    std::fs::metadata(path).is_ok_and(|found| found.uid() != user)
}

/// What kept the store at `path` from being opened, said to its operator: with the path, and without
/// "ask the operator" and "inside the daemon".
pub fn of_store(problem: Problem, path: &Path) -> Problem {
    let shown = path.display();
    let cause = std::error::Error::source(&problem).map(chain);
    let message = match (problem.code, cause) {
        (Code::StoreLocked, _) => {
            let holder = holder(path).map_or(String::new(), |pid| format!(" (process {pid})"));
            format!(
                "another daemon{holder} has the store {shown}, which is `store.path`; stop it, or set \
                 another `path` in [store]"
            )
        }
        (Code::StoreUnwritable | Code::StoreFull | Code::Internal, Some(cause)) => format!(
            "the store {shown}, which is `store.path`, cannot be used: {cause}; check owner, \
             permissions, room and mount, or set another `path` in [store]"
        ),
        _ => return problem,
    };
    let code = if problem.code == Code::Internal { Code::InvalidConfig } else { problem.code };
    Problem::new(code, message).field("store.path").because(problem)
}

/// The process that holds the lock on the folder `path`, by the kernel's list.
fn holder(path: &Path) -> Option<u32> {
    let inode = format!(":{}", std::fs::metadata(path).ok()?.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1) == Some(&"FLOCK") && fields.get(5)?.ends_with(&inode);
        is_it.then(|| fields.get(4)?.parse().ok())?
    })
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether this user may write in `folder`, or make it where it is not there.
fn may_write(folder: &Path) -> io::Result<()> {
    match std::fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Err(io::ErrorKind::NotADirectory.into()),
        Ok(_) => Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk::try_make_dirs(folder),
        Err(error) => Err(error),
    }
}

/// What stands in the way of the Unix socket.
fn socket(config: &Config) -> Option<Obstacle> {
    let settings = &config.daemon;
    if let Err(problem) = check_group(settings) {
        let (found, remedy) = problem.message.split_once("; ").unwrap_or((&problem.message, ""));
        return Some(Obstacle::new(
            "daemon.socket_group",
            Code::InvalidConfig,
            found.to_owned(),
            remedy,
        ));
    }
    let stream = UnixStream::connect(&settings.socket).ok()?;
    let process = rustix::net::sockopt::socket_peercred(&stream).ok();
    let process =
        process.map_or(String::new(), |it| format!(" (process {})", it.pid.as_raw_nonzero()));
    let found = format!(
        "another daemon{process} answers on {}, which is `daemon.socket`",
        settings.socket.display()
    );
    let remedy = "stop it, or set another `socket` in [daemon]";
    let obstacle = Obstacle::new("daemon.socket", Code::StoreLocked, found, remedy);
    Some(Obstacle { in_use: true, ..obstacle })
}

/// What stands in the way of listening on `address`.
fn port(address: SocketAddr) -> Option<Obstacle> {
    let error = TcpListener::bind(address).err()?;
    let found = format!("`daemon.listen` is {address}, which cannot be listened on: {error}");
    let remedy = "stop whatever has the port, or set `listen` in [daemon] to another";
    let obstacle = Obstacle::new("daemon.listen", Code::InvalidConfig, found, remedy);
    Some(Obstacle { in_use: error.kind() == io::ErrorKind::AddrInUse, ..obstacle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_is_told_and_nothing_is_left_of_the_try() {
        let folder = tempfile::tempdir().expect("a folder");
        may_write(folder.path()).expect("ours");
        may_write(&folder.path().join("a/b/c")).expect("can be made");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
        disk::write_once(&folder.path().join("file"), b"").expect("written");
        for unfit in ["file", "file/below"] {
            let error = may_write(&folder.path().join(unfit)).expect_err("no folder");
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{unfit}");
        }
        may_write(Path::new("/proc/exhibit")).expect_err("nobody makes folders there");
    }

    #[test]
    fn all_obstacles_are_told_at_once_each_with_key_value_and_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut config = Config::default();
        (config.browser.sandbox, config.browser.path) = (false, Some("/no/browser".into()));
        config.store.path = "/proc/store".into();
        config.keys.signing = "/proc/keys/signing".into();
        config.browser.runtime = "/proc/browser".into();
        config.daemon.socket = folder.path().join("socket");
        config.daemon.socket_group = Some("no-such-group".to_owned());
        config.daemon.listen = taken.local_addr().ok();
        let problem = check(&config).expect_err("much");
        for told in [
            "`browser.path` /no/browser",
            "`store.path` is /proc/store",
            "`keys.signing` is /proc/keys/signing",
            "`keys.log` is /proc/keys/log_ed25519",
            "`browser.runtime` is /proc/browser",
            "`no-such-group`",
            "`daemon.listen` is 127.0.0.1:",
        ] {
            assert!(problem.message.contains(told), "{told}: {problem}");
        }
        assert_eq!(problem.message.matches(OWN_FOLDERS).count(), 1, "{problem}");
        let in_use = |obstacle: &Obstacle| obstacle.in_use;
        assert_eq!(obstacles(&config).iter().filter(|it| in_use(it)).count(), 1);
    }
}
