//! Owns the key that signs evidence while the daemon runs: it is taken up at the start, exchanged when
//! another waits and the daemon is asked to read anew, and the log tells of each exchange and of
//! revoked keys. While it is exchanged nothing is sealed, so that each key signs in its own time only.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::{LeafKind, Log, LoggedKeys, leaf};
use crate::evidence::{
    Draft, KeyPlace, SealCause, SealError, Signer, Signers, SignersError, Trust,
};
use crate::receipt::Receipt;
use crate::run::Ending;
use crate::runs::context::Context;
use crate::runs::counts::Counts;
use crate::runs::problem::{seal_problem, store_problem};
use crate::runs::room::Room;

/// The key that signs, and where the next one comes from.
#[derive(Debug)]
pub(in crate::runs) struct SigningKey {
    /// Held while a run is sealed: async code goes by `key`.
    signer: RwLock<Signer>,
    /// Fingerprint of the key that signs.
    key: Mutex<String>,
    /// As the configuration said at the start: a change takes effect at the next one.
    place: KeyPlace,
    history: PathBuf,
    /// Why the last seal was not signed; none when it was.
    failed: Mutex<Option<String>>,
}

impl SigningKey {
    /// Take up the key that signs from now on: the one that waits to take another's place, if there
    /// is one. Nobody else may sign with it.
    pub(in crate::runs) fn begin(
        config: &Config,
        clock: &Clock,
        logged: Option<&LoggedKeys>,
    ) -> Result<(Self, Signers), Problem> {
        let (place, history) = (config.keys.place(), config.keys.signers_file());
        let (signer, signers) = take_up(&place, &history, clock, logged)?;
        tracing::info!(key = signer.fingerprint(), "evidence is signed");
        let key = Mutex::new(signer.fingerprint());
        let signer = RwLock::new(signer);
        Ok((Self { signer, key, place, history, failed: Mutex::default() }, signers))
    }

    pub(in crate::runs) fn signer(&self) -> RwLockReadGuard<'_, Signer> {
        self.signer.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fingerprint of the key that signs.
    pub(in crate::runs) fn fingerprint(&self) -> String {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn take_up(
    place: &KeyPlace,
    history: &std::path::Path,
    clock: &Clock,
    logged: Option<&LoggedKeys>,
) -> Result<(Signer, Signers), Problem> {
    let mut signers = Signers::open(history).map_err(key_problem)?;
    let signer = signers.take_up(place, logged, clock.now()).map_err(key_problem)?;
    Ok((signer, signers))
}

fn key_problem(error: SignersError) -> Problem {
    let message = format!("the signing key cannot be used: {}", chain(&error));
    Problem::new(Code::InvalidConfig, message).field("keys.signing").because(error)
}

/// Fingerprint of the key that signs by the last word of `log`.
pub(super) fn last_told(log: &Log) -> Result<Option<String>, Problem> {
    let said = log.last(|leaf| matches!(leaf.kind, LeafKind::Start | LeafKind::KeyChange));
    let said = said.map_err(store_problem)?;
    Ok(said.and_then(|(_, leaf)| {
        let name = if leaf.kind == LeafKind::Start { "key" } else { "to" };
        Some(leaf.data.get(name)?.as_str()?.to_owned())
    }))
}

/// Put into the log which keys were revoked since the log told of any.
pub(super) fn tell_revocations(
    log: &Log,
    signers: &mut Signers,
    clock: &Clock,
) -> Result<(), Problem> {
    let new: Vec<_> = signers.revoked().iter().filter(|it| !it.logged).cloned().collect();
    if new.is_empty() {
        return Ok(());
    }
    let at = clock.now();
    let entries = new.iter().map(|revocation| leaf::key_revocation(revocation, at)).collect();
    log.append_all(entries).map_err(store_problem)?;
    // A crash before this has the log tell it twice.
    signers.mark_logged(&new).map_err(key_problem)
}

/// Sealing with the key that signs, by the log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Signing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    room: Arc<Room>,
    counts: Counts,
    key: SigningKey,
}

impl Signing {
    pub(in crate::runs) fn new(
        context: Arc<Context>,
        room: Arc<Room>,
        counts: Counts,
        key: SigningKey,
    ) -> Self {
        Self(Arc::new(Inner { context, room, counts, key }))
    }

    /// The key that signs.
    #[cfg(test)]
    pub(in crate::runs) fn key(&self) -> &SigningKey {
        &self.0.key
    }

    /// Seal `draft`, signed with the key that signs now.
    pub(in crate::runs) fn seal_draft(
        &self,
        draft: Draft,
        ending: &Ending,
    ) -> Result<Receipt, SealError> {
        let signer = self.0.key.signer();
        let mut done = draft.seal(ending, &signer, self.0.context.clock.now());
        if done.as_ref().is_err_and(|error| self.0.room.spend(&seal_problem(error), false)) {
            done =
                done.or_else(|error| error.draft.seal(ending, &signer, self.0.context.clock.now()));
        }
        drop(signer);
        let why = match &done {
            Ok(_) => Some(None),
            Err(SealError { source: SealCause::Sign(error), .. }) => Some(Some(chain(error))),
            Err(_) => None,
        };
        self.0.counts.sealed(done.as_ref().ok().map(|receipt| receipt.state));
        if let Some(why) = why {
            *self.0.key.failed.lock().unwrap_or_else(PoisonError::into_inner) = why;
        }
        done
    }

    /// What is believed of one's own evidence: the key that signs now.
    pub(in crate::runs) fn own_trust(&self) -> Trust {
        Trust::of_key(self.0.key.signer().public())
    }

    /// The key that signs, and why it did not sign the last seal, where it did not: for `status`.
    pub fn status(&self) -> Value {
        let failed = self.0.key.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({ "key": self.0.key.fingerprint(), "failed": failed })
    }

    /// Sign with the key that waits, where one does, and have the log tell of it and of keys that
    /// were revoked. On failure the key that signed goes on, unless it was exchanged already.
    ///
    /// # Errors
    /// `invalid_config` when the key cannot be used; what the log says.
    pub async fn exchange(&self) -> Result<(), Problem> {
        let this = self.clone();
        self.0.context.blocking("exchanging the key", move || this.exchange_now()).await
    }

    fn exchange_now(&self) -> Result<(), Problem> {
        let (signing, clock) = (&self.0.key, &self.0.context.clock);
        // Whoever seals has done so before the other key's time begins.
        let mut signer = signing.signer.write().unwrap_or_else(PoisonError::into_inner);
        let before = signer.fingerprint();
        let (root, log) = (self.0.context.store.root(), &self.0.context.log);
        let logged = LoggedKeys::of_store(root, Some(&log.key())).map_err(store_problem)?;
        let (new, mut signers) = take_up(&signing.place, &signing.history, clock, Some(&logged))?;
        let after = new.fingerprint();
        *signer = new;
        signing.key.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&after);
        drop(signer);
        if before != after {
            tracing::warn!(before, after, "evidence is signed with another key");
            let entry = leaf::key_change(&before, &after, signers.reason(), clock.now());
            self.0.context.log.append(entry).map_err(store_problem)?;
        }
        tell_revocations(&self.0.context.log, &mut signers, clock)
    }
}
