//! Owns the life of the guard's process (`exhibit guard`): its socket, its key of the log, its
//! measuring at start. What it does is in [`crate::integrity::guard`].

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::{logging, tell_systemd};
use crate::config::Config;
use crate::disk;
use crate::error::{Code, Problem};
use crate::integrity::guard::{Flag, Guard, measure};

/// For the store's user alone; peers are asked who they are besides.
const MODE: u32 = 0o600;

/// Guard the store of `config` until the process is ended.
///
/// # Errors
/// What stands in the way of starting.
pub fn serve(config: &Config) -> Result<(), Problem> {
    logging::start(&config.log)?;
    let Some(socket) = &config.integrity.guard else {
        let message = "`integrity.guard` names no socket; set it to one in a folder of its own";
        return Err(Problem::new(Code::InvalidConfig, message).field("integrity.guard"));
    };
    let key = config.keys.log_public_file();
    let text = std::fs::read_to_string(&key).ok();
    let parsed = text.and_then(|text| text.trim().parse().ok());
    let log_key = parsed.ok_or_else(|| {
        let message = format!(
            "the log's public key {} cannot be read; the daemon writes it at its first start",
            key.display()
        );
        Problem::new(Code::InvalidConfig, message).field("keys.log")
    })?;
    let store = &config.store.path;
    let state = state(socket);
    let guard = Guard::open(store, log_key, &state).map_err(|error| {
        let message = format!(
            "the store {} cannot be held, or what was seen of its log not be remembered in {}: {error}",
            store.display(),
            state.display()
        );
        Problem::new(Code::InvalidConfig, message).field("store.path")
    })?;
    match guard.look() {
        Ok(entries) => tracing::info!(entries, state = %state.display(), "the log goes on"),
        Err(why) => tracing::error!(why, "the log is not what it was; nothing is let go"),
    }
    for flag in [Flag::Immutable, Flag::AppendOnly] {
        match measure(store, flag) {
            Ok(()) => {
                tracing::info!(store = %store.display(), flag = flag.word(), "the flag holds");
            }
            Err(why) => tracing::error!(flag = flag.word(), why, "the flag does not hold"),
        }
    }
    match guard.close_days() {
        Ok(changed) => tracing::info!(changed, "the folders of all days are append-only"),
        Err(why) => tracing::error!(why, "the folders of days are not all append-only"),
    }
    // Nobody is answered before the days are closed.
    let listener = bind(socket).map_err(|error| {
        let message = format!("{} cannot be listened on: {error}", socket.display());
        Problem::new(Code::InvalidConfig, message).field("integrity.guard")
    })?;
    tell_systemd(sd_notify::NotifyState::Ready);
    guard.serve(&listener);
    Ok(())
}

/// Where the guard remembers how far it saw the log: in the folder that systemd keeps for it
/// (StateDirectory=), or else beside its socket.
fn state(socket: &Path) -> PathBuf {
    match std::env::var_os("STATE_DIRECTORY") {
        Some(folder) if Path::new(&folder).is_absolute() => folder.into(),
        _ => socket.with_file_name("guard-state"),
    }
}

fn bind(socket: &Path) -> std::io::Result<UnixListener> {
    if UnixStream::connect(socket).is_ok() {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    // Nobody answered there, so what is there is stale.
    disk::remove_file(socket)?;
    let listener = UnixListener::bind(socket)?;
    disk::set_mode(socket, MODE)?;
    Ok(listener)
}
