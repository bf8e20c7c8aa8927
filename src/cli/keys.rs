//! `exhibit keys …`: API keys for callers over TCP, and the keys that sign evidence: their public
//! halves, and their exchange.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use ssh_key::{HashAlg, PublicKey};

use super::{Common, DONE, in_file, out};
use crate::auth::keyring::Keyring;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::disk;
use crate::error::{Code, Problem, chain, exit};
use crate::evidence::log::LoggedKeys;
use crate::evidence::{
    Epoch, KeyKind, LOG_KEY, LogKey, REVOKED, Revocation, SIGNERS, Signer, Signers, SignersError,
    StoreError,
};
use crate::tlog::note::{Algorithm, VerifierKey};

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
    /// List the keys that signed evidence, and when
    Signers,
    /// Make a new signing key, which the daemon takes up when it reloads (SIGHUP) or starts again
    Rotate {
        /// What kind of key, ed25519 or p256; `keys.algorithm` when nothing is said
        #[arg(long, value_name = "KIND", value_parser = kind)]
        algorithm: Option<KeyKind>,
        /// Why, for the log and the history
        #[arg(long, value_name = "TEXT", default_value = "rotation")]
        reason: String,
    },
    /// Revoke a key that signed evidence: it was lost, or others had it
    Revoke {
        /// Its fingerprint, as `keys signers` lists it
        key: String,
        /// Why, for auditors and the log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// From when on others may have signed with it (RFC 3339); from now on when nothing is said
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
    },
    /// Print the `allowed_signers` lines of the keys that sign and signed evidence
    Export {
        /// Write it into this folder, with the public key of the log: what an auditor needs for
        /// `exhibit verify --trust`
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

pub(super) fn keys(common: &Common, keys: Keys) -> Result<u8, Problem> {
    let all = common.config()?;
    let config = &all.keys;
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
                let row = |key: &crate::auth::keyring::KeyEntry| {
                    vec![key.id.clone(), key.name.clone(), key.created_at.clone()]
                };
                out::table(&["id", "name", "created_at"], rows.map(row));
            }
        }
        Keys::Remove { key } => {
            let entry = Keyring::open(&config.api)?.remove(&key)?;
            out::note(format!("key {} ({}) is no longer known", entry.id, entry.name));
        }
        Keys::Signers => return signers(common, &all),
        Keys::Rotate { algorithm, reason } => rotate(common, config, algorithm, &reason)?,
        Keys::Revoke { key, reason, since } => {
            revoke(common, config, &key, (since, reason.as_str()))?;
        }
        Keys::Export { out: None } => out::text(&vouched(&all)?.0),
        Keys::Export { out: Some(folder) } => export(&folder, &all)?,
    }
    DONE
}

fn kind(word: &str) -> Result<KeyKind, String> {
    KeyKind::parse(word).ok_or_else(|| "write ed25519 or p256".to_owned())
}

fn refused(error: &SignersError) -> Problem {
    let code = match error {
        SignersError::Refused(_) => Code::InvalidField,
        _ => Code::InvalidConfig,
    };
    Problem::new(code, chain(error)).field("keys.signing")
}

/// The history of the signing keys, and the public half of the one that there is.
fn history(config: &config::Keys) -> Result<(Signers, PublicKey), Problem> {
    if !config.signing.exists() {
        let message = "there is no signing key yet; `exhibit serve` makes it at its first start";
        return Err(Problem::new(Code::InvalidConfig, message).field("keys.signing"));
    }
    let signers = Signers::open(&config.signers_file()).map_err(|error| refused(&error))?;
    let current = Signer::public_at(&config.place()).map_err(|error| {
        let message = format!("the signing key cannot be read: {}", chain(&error));
        Problem::new(Code::InvalidConfig, message).field("keys.signing")
    })?;
    Ok((signers, current))
}

/// The lines that vouch for this machine's keys, each for its time, and those of revoked ones: of a
/// history that does not contradict the log.
pub(super) fn vouched(config: &Config) -> Result<(String, String), Problem> {
    let (signers, current) = history(&config.keys)?;
    let fingerprint = current.fingerprint(HashAlg::Sha256).to_string();
    if let Some(logged) = logged(config)? {
        let doubts = signers.agree(&logged, Some(&fingerprint)).map_err(|error| refused(&error))?;
        for doubt in doubts {
            out::note(format!("the keys' history says what the log does not: {doubt}"));
        }
    }
    Ok((signers.allowed_signers(&config.keys.principal, &current), signers.revoked_keys()))
}

/// What the log of the store says of keys; none, and a note, where there is none to be read.
fn logged(config: &Config) -> Result<Option<LoggedKeys>, Problem> {
    let root = &config.store.path;
    let key = log_key(&config.keys)?;
    match LoggedKeys::of_store(root, key.as_ref()) {
        Ok(logged) => Ok(Some(logged)),
        Err(error @ StoreError::Damaged { .. }) => {
            let message = format!(
                "the keys' history cannot be held against the log: {}; `exhibit verify {}` says what \
                 is wrong; put back the log, or its public key",
                chain(&error),
                root.display()
            );
            Err(Problem::new(Code::LogDamaged, message).field("keys.log").because(error))
        }
        Err(error) => {
            let why = chain(&error);
            out::note(format!("the keys' history is not held against the log: {why}"));
            Ok(None)
        }
    }
}

/// The log's public key, as a start wrote it, which must be that of the private one, where that can be
/// read; none where there is none yet.
pub(super) fn log_key(config: &config::Keys) -> Result<Option<VerifierKey>, Problem> {
    let (public, private) = (config.log_public_file(), config.log_file());
    let refused = |what: &str| {
        let message = format!(
            "the log's public key {} {what}; remove it and start the daemon again, which writes it \
             anew",
            public.display()
        );
        Problem::new(Code::InvalidConfig, message).field("keys.log")
    };
    let Ok(text) = std::fs::read_to_string(&public) else { return Ok(None) };
    let key: VerifierKey =
        text.trim_end().parse().map_err(|_| refused("is not the public key of a log"))?;
    if let Ok(private) = LogKey::load(&private) {
        let own = private.signer(key.name()).ok();
        if own.is_none_or(|own| own.verifier(Algorithm::Ed25519) != key) {
            return Err(refused("is another log's"));
        }
    }
    Ok(Some(key))
}

fn signers(common: &Common, config: &Config) -> Result<u8, Problem> {
    let (signers, current) = history(&config.keys)?;
    let current = current.fingerprint(HashAlg::Sha256).to_string();
    let logged = logged(config)?.unwrap_or_default();
    let doubts = signers.doubts(&logged, Some(&current));
    for doubt in &doubts {
        out::note(format!("the keys' history and the log: {doubt}"));
    }
    let contradicted = doubts.iter().any(|doubt| doubt.contradicts);
    let code = if contradicted { exit::UNHEALTHY } else { exit::OK };
    if common.json {
        let (keys, next, revoked) = (signers.keys(), signers.next(), signers.revoked());
        out::json(&json!({ "keys": keys, "next": next, "revoked": revoked, "doubts": doubts }));
        return Ok(code);
    }
    let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let row = |key: &Epoch| {
        let kind = key.key.split(' ').next().unwrap_or_default().to_owned();
        let reason = key.reason.clone().unwrap_or_default();
        vec![key.fingerprint.clone(), kind, time(key.from), time(key.until), reason]
    };
    out::table(&["key", "kind", "from", "until", "reason"], signers.keys().iter().map(row));
    for revoked in signers.revoked() {
        let Revocation { fingerprint, since, reason, .. } = revoked;
        out::line(format!("{fingerprint} is revoked since {since}: {reason}"));
    }
    if let Some(next) = signers.next().filter(|_| config.keys.place().waits()) {
        out::note(format!("{} waits for a reload or start: {}", next.fingerprint, next.reason));
    }
    Ok(code)
}

fn rotate(
    common: &Common,
    config: &config::Keys,
    kind: Option<KeyKind>,
    reason: &str,
) -> Result<(), Problem> {
    let (mut signers, _) = history(config)?;
    let kind = kind.unwrap_or(config.algorithm);
    let made = signers.rotate(&config.place(), kind, reason).map_err(|error| refused(&error))?;
    if common.json {
        out::json(&json!({ "key": made }));
    } else {
        out::line(made);
        out::note(
            "the daemon takes it up when it reloads (SIGHUP) or is started again, and signs with the \
             old one until then; hand `exhibit keys export` to your auditors after that",
        );
    }
    Ok(())
}

fn revoke(
    common: &Common,
    config: &config::Keys,
    key: &str,
    why: (Option<Timestamp>, &str),
) -> Result<(), Problem> {
    let (mut signers, _) = history(config)?;
    let at = Clock::system().now();
    let revoked = signers.revoke(key, &config.place(), why, at).map_err(|error| refused(&error))?;
    if common.json {
        out::json(&revoked);
    } else {
        out::line(format!("{key} is revoked since {}", revoked.since));
        out::note(format!(
            "have the daemon reload (SIGHUP) or start again, so that it signs with no such key and \
             the log tells of it; hand `exhibit keys export --out DIR` to your auditors, now with \
             {REVOKED}"
        ));
    }
    Ok(())
}

/// Write what an auditor needs into `folder`.
fn export(folder: &Path, config: &Config) -> Result<(), Problem> {
    let (signers, revoked) = vouched(config)?;
    let public = config.keys.log_public_file();
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
    write(SIGNERS, signers.as_bytes())?;
    write(LOG_KEY, &log)?;
    let mut holds = vec![SIGNERS, LOG_KEY];
    if !revoked.is_empty() {
        write(REVOKED, revoked.as_bytes())?;
        holds.push(REVOKED);
    }
    out::note(format!("{} holds {}", folder.display(), holds.join(", ")));
    Ok(())
}
