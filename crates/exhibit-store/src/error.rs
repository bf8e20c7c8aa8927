//! Owns why a run could not be sealed, and why a key did not sign.

use std::io;
use std::path::PathBuf;

pub use exhibit_verify::error::StoreError;
use exhibit_verify::finding::Finding;

use crate::ownership::Exposure;
use crate::ssh_agent::AgentError;

/// What stopped the sealing of a run.
#[derive(Debug, thiserror::Error)]
pub enum SealCause {
    /// The disk.
    #[error("its files could not be written")]
    Store(#[from] StoreError),
    /// The key.
    #[error("it could not be signed")]
    Sign(#[from] SignError),
    /// What was read back from disk does not verify.
    #[error("what was read back does not verify, first: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    NotVerified(Vec<Finding>),
}

/// Why there is no key to sign with, or why it did not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key file cannot be read or made.
    #[error("the key {} cannot be read or made", .path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner could read or exchange the key file.
    #[error("the key {} is not safe: {exposure}", .path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// By what, and what mends it.
        exposure: Exposure,
    },
    /// The file is no key that can be used.
    #[error("{} is not an OpenSSH private key; make one with: ssh-keygen -t ed25519 -N '' -f {}", .path.display(), .path.display())]
    NotAKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it, where the parser said so.
        source: Option<ssh_key::Error>,
    },
    /// The key can be used with a passphrase only, which a daemon has nobody to ask for.
    #[error("the key {} has a passphrase, which the daemon cannot ask for; remove it with: ssh-keygen -p -N '' -f {}, or have an SSH agent hold the key (keys.agent)", .path.display(), .path.display())]
    Encrypted {
        /// The key file.
        path: PathBuf,
    },
    /// The key is of another kind.
    #[error("the key {} is of the kind {kind}; make one of the kind ed25519 or p256 with: ssh-keygen -t ed25519 -N '' -f {}", .path.display(), .path.display())]
    OtherKind {
        /// The key file.
        path: PathBuf,
        /// Its kind, as OpenSSH calls it.
        kind: String,
    },
    /// The private key is gone, and its public half is there: another is not made in its place.
    #[error("the key {} is gone, and its public half {} is there; restore the key", .path.display(), .public.display())]
    Gone {
        /// The key file.
        path: PathBuf,
        /// The public half.
        public: PathBuf,
    },
    /// The file is no public key that can be used.
    #[error("{} is not an OpenSSH public key (ssh-ed25519, ecdsa-sha2-nistp256 or sk-ssh-ed25519@openssh.com); write it with: ssh-add -L", .path.display())]
    NotAPublicKey {
        /// The key file.
        path: PathBuf,
    },
    /// The SSH agent that holds the key did not sign, or does not hold it.
    #[error("the SSH agent at {} did not sign", .socket.display())]
    Agent {
        /// Its socket.
        socket: PathBuf,
        /// Why not.
        source: AgentError,
    },
    /// The SSH agent does not hold the key.
    #[error("the SSH agent at {} does not hold the key {fingerprint}; add it with ssh-add", .socket.display())]
    NotHeld {
        /// Its socket.
        socket: PathBuf,
        /// The key.
        fingerprint: String,
    },
    /// The operating system has no randomness to give.
    #[error("no randomness for a new signing key: {0}")]
    Random(getrandom::Error),
    /// The key did not sign.
    #[error("signing failed")]
    Sign(#[source] ssh_key::Error),
}
