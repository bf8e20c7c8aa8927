//! Owns the listening sockets: binding, permissions, telling a live daemon from a stale file, and
//! removing only what was bound here.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{TcpListener, UnixListener};

use crate::config;
use crate::disk;
use crate::error::{Code, Problem};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A Unix socket that is listened on.
#[derive(Debug)]
pub struct Bound {
    /// The listener.
    pub listener: UnixListener,
    /// What to remove in the end; none for a socket that systemd owns.
    file: Option<SocketFile>,
}

/// The file of a socket that was bound here: it is removed when this is dropped. It is known by
/// device, inode and time, because an inode alone is used again at once.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

type Identity = (u64, u64, i64, i64);

fn identity(metadata: &std::fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

impl Drop for SocketFile {
    /// Remove the file, unless somebody put another one there.
    fn drop(&mut self) {
        let same = self.path.symlink_metadata().is_ok_and(|at| identity(&at) == self.identity);
        if same && let Err(error) = disk::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket's file is not removed");
        }
    }
}

impl Bound {
    /// The listener, and the file that goes when it is dropped.
    pub fn split(self) -> (UnixListener, Option<SocketFile>) {
        (self.listener, self.file)
    }
}

/// The Unix socket that systemd handed over, or else one bound as configured.
///
/// # Errors
/// Another daemon answers there, or what the system says.
pub fn unix(settings: &config::Daemon) -> Result<Bound, Problem> {
    let mut inherited = listenfd::ListenFd::from_env();
    let inherited = (0..inherited.len()).find_map(|at| inherited.take_unix_listener(at).ok()?);
    if let Some(listener) = inherited {
        let listener = listening(listener).map_err(|error| cannot_bind(&settings.socket, error))?;
        tracing::info!("listening on the socket that systemd handed over");
        return Ok(Bound { listener, file: None });
    }
    let path = &settings.socket;
    if UnixStream::connect(path).is_ok() {
        let message = format!(
            "another daemon answers on {}; stop it, or set `socket` in [daemon]",
            path.display()
        );
        return Err(Problem::new(Code::StoreLocked, message).field("daemon.socket"));
    }
    check_group(settings)?;
    bind(settings).map_err(|error| cannot_bind(path, error))
}

/// Whether systemd hands a socket over, so that none is bound here.
pub fn is_inherited() -> bool {
    std::env::var_os("LISTEN_FDS").is_some()
}

/// The id of the group that the socket is for; none where it is the daemon's own.
///
/// # Errors
/// When there is no such group.
pub fn known_group(settings: &config::Daemon) -> Result<Option<u32>, Problem> {
    let refused = |error: io::Error| no_group(error.to_string());
    settings.socket_group.as_deref().map(group_id).transpose().map_err(refused)
}

fn no_group(message: String) -> Problem {
    Problem::new(Code::InvalidConfig, message).field("daemon.socket_group")
}

/// Whether this user can give the socket to its group.
///
/// # Errors
/// When there is no such group, or this user is no member of it.
pub fn check_group(settings: &config::Daemon) -> Result<(), Problem> {
    let (Some(id), Some(name)) = (known_group(settings)?, &settings.socket_group) else {
        return Ok(());
    };
    let user = rustix::process::geteuid();
    let groups = rustix::process::getgroups().unwrap_or_default();
    let own = rustix::process::getegid();
    if user.is_root() || own.as_raw() == id || groups.iter().any(|group| group.as_raw() == id) {
        return Ok(());
    }
    Err(no_group(format!(
        "`daemon.socket_group` is `{name}`, and the user {} is no member of that group; add it \
         (usermod -aG {name} USER), or name a group of its own",
        user.as_raw()
    )))
}

fn bind(settings: &config::Daemon) -> io::Result<Bound> {
    let path = &settings.socket;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.exists()) {
        disk::make_dirs(parent)?;
        // Callers must be able to reach the socket; its own mode says who may use it.
        disk::set_mode(parent, 0o755)?;
    }
    // Nobody answered there, so what is there is stale.
    disk::remove_file(path)?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Between bind and listen: until then nobody can connect, whatever the umask was.
    disk::set_mode(path, settings.socket_mode)?;
    if let Some(group) = &settings.socket_group {
        std::os::unix::fs::chown(path, None, Some(group_id(group)?))?;
    }
    rustix::net::listen(&socket, BACKLOG)?;
    let identity = identity(&path.symlink_metadata()?);
    let file = Some(SocketFile { path: path.clone(), identity });
    Ok(Bound { listener: listening(socket.into())?, file })
}

fn listening(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// The id of the group called `name`, from /etc/group.
fn group_id(name: &str) -> io::Result<u32> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let groups = std::fs::read_to_string("/etc/group")?;
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    });
    found.ok_or_else(|| {
        let message = format!(
            "`daemon.socket_group` names no group `{name}`; make it (groupadd), or name another"
        );
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

fn cannot_bind(path: &Path, error: io::Error) -> Problem {
    let message = format!(
        "cannot listen on {} ({error}); set `socket` in [daemon] to a path the daemon may write",
        path.display()
    );
    Problem::new(Code::InvalidConfig, message).field("daemon.socket").because(error)
}

/// The loopback TCP socket, as configured.
///
/// # Errors
/// What the system says.
pub async fn tcp(address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!(
            "cannot listen on {address} ({error}); set `listen` in [daemon] to a free port"
        );
        Problem::new(Code::InvalidConfig, message).field("daemon.listen").because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn settings(folder: &Path) -> config::Daemon {
        let mut settings = config::Config::default().daemon;
        settings.socket = folder.join("sub/exhibit.sock");
        settings
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        let bound = unix(&settings).expect("bound");
        let mode = settings.socket.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let problem = unix(&settings).expect_err("live");
        assert_eq!(problem.code, Code::StoreLocked);
        let (listener, file) = bound.split();
        drop(listener);
        let again = unix(&settings).expect("stale, so replaced");
        drop(file.expect("bound here"));
        assert!(settings.socket.exists(), "the file is another socket's by now");
        drop(again);
        assert!(!settings.socket.exists());
    }

    #[tokio::test]
    async fn an_unknown_group_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path());
        settings.socket_group = Some("no-such-group-here".to_owned());
        let problem = unix(&settings).expect_err("unknown");
        assert!(problem.message.contains("no group `no-such-group-here`"), "{problem}");
    }
}
