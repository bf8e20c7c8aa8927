//! `exhibit keys …`: API keys for callers over TCP, and the public half of the signing key.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::verify::{LOG_KEY, SIGNERS};
use super::{Common, DONE, in_file, out};
use crate::clock::Clock;
use crate::config;
use crate::daemon::keyring::Keyring;
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::Signer;

/// For everybody to read.
const PUBLIC: u32 = 0o644;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make an API key; it is shown once and only its hash is kept
    Add {
        /// Who will use it
        name: String,
    },
    /// List the API keys
    List,
    /// Forget an API key
    Remove {
        /// Its id or name
        key: String,
    },
    /// Print the `allowed_signers` line of the key that signs evidence
    Export {
        /// Write it into this folder, with the public key of the log: what an auditor needs for
        /// `exhibit verify --trust`
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

pub(super) fn keys(common: &Common, keys: Keys) -> Result<u8, Problem> {
    let config = common.config()?.keys;
    match keys {
        Keys::Add { name } => {
            let mut keyring = Keyring::open(&config.api)?;
            let (key, entry) = keyring.add(&name, Clock::system().now())?;
            if common.json {
                out::json(&json!({ "key": key.expose(), "id": entry.id, "name": entry.name }));
            } else {
                out::note(format!("key {} for {}; it is shown only now:", entry.id, entry.name));
                out::line(key.expose());
            }
        }
        Keys::List => {
            let keyring = Keyring::open(&config.api)?;
            if common.json {
                out::json(&keyring.list());
            } else {
                let rows = keyring.list().iter();
                let row = |key: &crate::daemon::keyring::KeyEntry| {
                    vec![key.id.clone(), key.name.clone(), key.created_at.clone()]
                };
                out::table(&["id", "name", "created_at"], rows.map(row));
            }
        }
        Keys::Remove { key } => {
            let entry = Keyring::open(&config.api)?.remove(&key)?;
            out::note(format!("key {} ({}) is no longer known", entry.id, entry.name));
        }
        Keys::Export { out: folder } => {
            if !config.signing.exists() {
                let message =
                    "there is no signing key yet; `exhibit serve` makes it at its first start";
                return Err(Problem::new(Code::InvalidConfig, message).field("keys.signing"));
            }
            let signer = Signer::load_or_create(&config.signing).map_err(|error| {
                let message = format!("the signing key cannot be read: {}", chain(&error));
                Problem::new(Code::InvalidConfig, message).field("keys.signing")
            })?;
            let line = signer.allowed_signers_line(&config.principal);
            match folder {
                None => out::line(line),
                Some(folder) => export(&folder, &line, &config)?,
            }
        }
    }
    DONE
}

/// Write what an auditor needs into `folder`.
fn export(folder: &Path, signer: &str, config: &config::Keys) -> Result<(), Problem> {
    let public = config.log_public_file();
    let log = std::fs::read(&public).map_err(|error| {
        let message = format!(
            "the log's public key {} cannot be read; `exhibit serve` writes it at its start",
            public.display()
        );
        Problem::new(Code::InvalidConfig, message).field("keys.log").because(error)
    })?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        disk::replace(&path, bytes, PUBLIC).map_err(|error| in_file(&path, error))
    };
    disk::make_dirs(folder).map_err(|error| in_file(folder, error))?;
    write(SIGNERS, format!("{signer}\n").as_bytes())?;
    write(LOG_KEY, &log)?;
    out::note(format!("{} holds {SIGNERS} and {LOG_KEY}", folder.display()));
    Ok(())
}
