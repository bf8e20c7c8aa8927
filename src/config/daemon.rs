//! Owns what can be configured of the daemon's sockets: where they are, who reaches them, and how many
//! connections there may be, how slow. Binds nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::read::{self, Document};
use super::{Config, render};

/// `[daemon]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Path of the Unix socket.
    pub socket: PathBuf,
    /// Permission bits of the socket, as an octal string: `"0660"`.
    pub socket_mode: u32,
    /// Group that may use the socket; the daemon's own when not given.
    pub socket_group: Option<String>,
    /// Loopback TCP address on which callers with a key are served; none when not given.
    pub listen: Option<SocketAddr>,
    /// How long stopping waits for captures under way.
    pub drain: Duration,
    /// Most connections at a time; fewer where fewer files may be open.
    pub max_connections: usize,
    /// Most connections at a time of one user, or over TCP of one address.
    pub max_connections_per_peer: usize,
    /// How long the head of a request may take, from its connection's beginning or its first byte.
    pub head_limit: Duration,
    /// How long a connection may stay on which nothing is asked, or nothing taken of an answer.
    pub idle: Duration,
    /// Bytes of a body that arrive each second at the least, on average; 0 asks for none.
    pub body_rate: u64,
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            socket: "/run/exhibit/exhibit.sock".into(),
            socket_mode: 0o660,
            socket_group: None,
            listen: None,
            drain: Duration::from_secs(30),
            max_connections: 1024,
            max_connections_per_peer: 256,
            head_limit: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            body_rate: 1024,
        }
    }
}

/// Read `[daemon]`.
pub(super) fn daemon(document: &mut Document<'_>, default: Daemon) -> Daemon {
    let mut table = document.table("daemon");
    let (all, of_one) = (default.max_connections, default.max_connections_per_peer);
    let daemon = Daemon {
        socket: table.get("socket", default.socket, read::path),
        socket_mode: table.get("socket_mode", default.socket_mode, read::mode),
        socket_group: table.option("socket_group", default.socket_group, read::text),
        listen: table.option("listen", default.listen, read::address),
        drain: table.get("drain", default.drain, read::duration),
        max_connections: table.get("max_connections", all, read::number(8..=65_536)),
        max_connections_per_peer: table.get(
            "max_connections_per_peer",
            of_one,
            read::number(1..=65_536),
        ),
        head_limit: table.get("head_limit", default.head_limit, read::duration),
        idle: table.get("idle", default.idle, read::duration),
        body_rate: table.get("body_rate", default.body_rate, read::size),
    };
    table.finish();
    daemon
}

impl Config {
    /// The value of the key `name` of `[daemon]`, as TOML.
    pub(super) fn daemon_value(&self, name: &str) -> toml::Value {
        let daemon = &self.daemon;
        match name {
            "daemon.socket" => daemon.socket.display().to_string().into(),
            "daemon.socket_mode" => format!("{:04o}", daemon.socket_mode).into(),
            "daemon.socket_group" => daemon.socket_group.clone().unwrap_or_default().into(),
            "daemon.listen" => {
                daemon.listen.map(|address| address.to_string()).unwrap_or_default().into()
            }
            "daemon.drain" => render::duration(daemon.drain),
            "daemon.max_connections" => render::number(daemon.max_connections as u64),
            "daemon.max_connections_per_peer" => {
                render::number(daemon.max_connections_per_peer as u64)
            }
            "daemon.head_limit" => render::duration(daemon.head_limit),
            "daemon.idle" => render::duration(daemon.idle),
            "daemon.body_rate" => render::size(daemon.body_rate),
            name => unreachable!("no key of [daemon]: {name}"),
        }
    }
}
