//! Owns what others ask of the store's log: its tiles, the proof of a run, what a witness needs, and
//! the cosignatures that witnesses gave.

use std::sync::Arc;

use super::LogService;
use crate::error::{Code, Problem};
use crate::evidence::StoreError;
use crate::evidence::log::{Cosigned, Log};
use crate::id::RunId;
use crate::runs::problem::{store_problem, unknown};
use crate::spans;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::Note;
use crate::tlog::proof::Proof;
use crate::tlog::tile::Tile;
use crate::tlog::witness::Request;

impl LogService {
    pub(super) async fn ask_log<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Log) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let log = Arc::clone(&self.0.context.log);
        self.0.context.blocking("reading the log", move || ask(&log)).await
    }

    /// The bytes of `tile`.
    ///
    /// # Errors
    /// `no_such_endpoint` when the log has no such tile.
    pub async fn tile(&self, tile: Tile) -> Result<Vec<u8>, Problem> {
        self.ask_log(move |log| {
            log.reader().tile(tile).map_err(|error| {
                let message = format!("the log has no {tile}; its checkpoint says how long it is");
                Problem::new(Code::NoSuchEndpoint, message).because(error)
            })
        })
        .await
    }

    /// The proof that the sealed run `id` stands in the log: against the newest checkpoint that a
    /// witness cosigned, if that covers it, else against the newest.
    ///
    /// # Errors
    /// `run_not_found`; what the log says.
    pub async fn proof(&self, id: RunId) -> Result<Proof, Problem> {
        self.ask_log(move |log| {
            let places = log.places(&[id]).map_err(store_problem)?;
            let seal = places.get(&id).and_then(|place| place.seal).ok_or_else(|| unknown(id))?;
            log.proof(seal).map_err(store_problem)
        })
        .await
    }

    /// The newest checkpoint that a witness cosigned.
    ///
    /// # Errors
    /// What the log says.
    pub async fn witnessed(&self) -> Result<Option<(Note, Checkpoint)>, Problem> {
        self.ask_log(|log| log.witnessed().map_err(store_problem)).await
    }

    /// What to ask of a witness that saw the checkpoint at `old` last: the newest one that was
    /// cosigned when nothing is said.
    ///
    /// # Errors
    /// `invalid_field` when the log is not as long; what it says.
    pub async fn witness_request(&self, old: Option<u64>) -> Result<Request, Problem> {
        self.ask_log(move |log| {
            let size = log.checkpoint().1.size;
            if let Some(old) = old.filter(|old| *old > size) {
                let message = format!("`old` is {old}, and the log has {size} entries; give less");
                return Err(Problem::new(Code::InvalidField, message).field("old"));
            }
            log.request(old).map_err(store_problem)
        })
        .await
    }

    /// What to carry to a witness that cannot be asked over the network: one that saw the checkpoint at
    /// `old` last, or the one called `name`. Each has seen another, and signs only what continues that.
    ///
    /// # Errors
    /// `invalid_field` when nothing says which of several witnesses it is for, or the configuration
    /// names none like it; what the log says.
    pub async fn offline_request(
        &self,
        old: Option<u64>,
        name: Option<&str>,
    ) -> Result<Request, Problem> {
        let named = self.0.context.config.borrow().transparency.witnesses.clone();
        let asked = match (name, old) {
            (Some(name), _) => {
                let found = named.into_iter().filter(|witness| witness.key.name() == name);
                let found: Vec<_> = found.collect();
                if found.is_empty() {
                    let message =
                        format!("`transparency.witnesses` names no {name:?}; add its key");
                    return Err(Problem::new(Code::InvalidField, message).field("witness"));
                }
                found
            }
            (None, Some(_)) => Vec::new(),
            (None, None) => named.into_iter().filter(|witness| witness.url.is_none()).collect(),
        };
        if old.is_some() || asked.is_empty() {
            return self.witness_request(old).await;
        }
        let seen = self.ask_log(move |log| {
            let seen = asked.iter().map(|it| Ok((it.key.name().to_owned(), log.seen_by(&it.key)?)));
            seen.collect::<Result<Vec<_>, StoreError>>().map_err(store_problem)
        });
        let seen = seen.await?;
        let (_, first) = seen[0];
        if seen.iter().any(|(_, other)| *other != first) {
            let seen: Vec<_> = seen.iter().map(|(name, at)| format!("{name} saw {at}")).collect();
            let message = format!(
                "witnesses saw different checkpoints last ({}); name one with `witness`",
                seen.join(", ")
            );
            return Err(Problem::new(Code::InvalidField, message).field("witness"));
        }
        self.witness_request(Some(first)).await
    }

    /// Take in the cosignatures on `note` of the witnesses that the configuration names.
    ///
    /// # Errors
    /// `invalid_field` when the note states no checkpoint of this log, or none of them signed it.
    pub async fn cosign(&self, note: Note) -> Result<Cosigned, Problem> {
        let named = self.0.context.config.borrow().transparency.witnesses.clone();
        let witnesses: Vec<_> = named.into_iter().map(|witness| witness.key).collect();
        let refused = |message: String| Problem::new(Code::InvalidField, message).field("body");
        let signed = self
            .ask_log(move |log| match log.cosign(&note, &witnesses) {
                Err(StoreError::Damaged { what, .. }) => {
                    Err(Problem::new(Code::InvalidField, format!("{what}; ask for a new request")))
                }
                done => done.map_err(store_problem),
            })
            .await?;
        if signed.witnesses.is_empty() {
            return Err(refused(
                "no witness that `transparency.witnesses` names has signed it; put its key there"
                    .to_owned(),
            ));
        }
        tracing::info!(
            size = signed.size,
            witnesses = spans::value(&signed.witnesses),
            "a checkpoint was cosigned"
        );
        Ok(signed)
    }
}
