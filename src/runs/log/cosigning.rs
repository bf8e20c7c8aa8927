//! Owns witnesses in the network: has each that has an address cosign the log (c2sp.org/tlog-witness
//! 1.0.0, `add-checkpoint`), and knows what came of it. Nothing waits for it; one that cannot be
//! reached is asked again, and one that refuses is told of loudly.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde::Serialize;
use url::Url;

use super::LogService;
use super::turns::in_turns;
use crate::config::{Transparency, Witness};
use crate::error::chain;
use crate::http;
use crate::shown::shown_within;
use crate::tasks::Tasks;
use crate::tlog::note::{MAX_NOTE, Note};
use crate::tlog::witness::Request;

/// How long a witness may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Letters of a refusal that are told.
const MAX_TOLD: usize = 200;

/// What came of asking a witness.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Witnessed {
    /// Size of the checkpoint it cosigned last in this life of the daemon.
    pub size: Option<u64>,
    /// When: RFC 3339, UTC.
    pub cosigned_at: Option<String>,
    /// Why it did not when it was asked last.
    pub refusal: Option<String>,
}

/// What a witness answered.
#[derive(Debug)]
enum Answer {
    /// The lines with which it signs.
    Signed(String),
    /// It saw a checkpoint of another size last.
    Seen(u64),
}

impl LogService {
    /// Have the witnesses that have an address cosign the newest checkpoint whenever the log has
    /// grown, until `tasks` are to stop.
    pub async fn have_cosigned(self, tasks: Tasks) {
        let config = self.0.context.config.clone();
        let turn = |settings: Transparency| {
            let this = self.clone();
            async move {
                let addressed =
                    settings.witnesses.iter().filter_map(|it| Some((it, it.url.as_ref()?)));
                // All at once: one that does not answer keeps no other waiting.
                join_all(addressed.map(|(witness, url)| this.ask_witness(witness, url))).await;
                settings.cosign_every
            }
        };
        in_turns(config, tasks, |config| config.transparency.clone(), turn).await;
    }

    /// What came of asking each witness that has an address, by name.
    pub fn witnesses(&self) -> BTreeMap<String, Witnessed> {
        let config = self.0.context.config.borrow();
        let asked = self.witnesses_asked();
        let addressed = config.transparency.witnesses.iter().filter(|it| it.url.is_some());
        let names = addressed.map(|witness| witness.key.name().to_owned());
        names.map(|name| (name.clone(), asked.get(&name).cloned().unwrap_or_default())).collect()
    }

    fn witnesses_asked(&self) -> MutexGuard<'_, BTreeMap<String, Witnessed>> {
        self.0.witnessed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_witness(&self, witness: &Witness, url: &Url) {
        let name = witness.key.name().to_owned();
        let last = self.witnesses_asked().get(&name).cloned().unwrap_or_default();
        if last.refusal.is_none() && last.size == Some(self.0.context.log.checkpoint().1.size) {
            return;
        }
        let outcome = self.have_signed(witness, url, last.size).await;
        let after = match outcome {
            Ok(size) => Witnessed {
                size: Some(size),
                cosigned_at: Some(self.0.context.clock.now().to_rfc3339()),
                refusal: None,
            },
            Err(error) => {
                let refusal = format!("{error:#}");
                if last.refusal.as_ref() != Some(&refusal) {
                    tracing::error!(
                        witness = name,
                        error = refusal,
                        "a witness did not cosign; it is asked again"
                    );
                }
                Witnessed { refusal: Some(refusal), ..last }
            }
        };
        self.witnesses_asked().insert(name, after);
    }

    /// The size of the checkpoint that `witness` has cosigned. It is thought to have seen the one
    /// of the size `old` last; a witness knows better.
    async fn have_signed(
        &self,
        witness: &Witness,
        url: &Url,
        mut old: Option<u64>,
    ) -> anyhow::Result<u64> {
        for _ in 0..2 {
            let request =
                self.witness_request(old).await.map_err(|it| anyhow::anyhow!(chain(&it)))?;
            match answer(url, &request).await? {
                Answer::Signed(lines) => {
                    let note = Note::parse(&format!("{}\n{lines}", request.note.text))?;
                    anyhow::ensure!(
                        note.signed_by(&witness.key).is_some(),
                        "its answer is not signed with the key that `transparency.witnesses` names"
                    );
                    self.cosign(note).await.map_err(|it| anyhow::anyhow!(chain(&it)))?;
                    return Ok(request.checkpoint.size);
                }
                Answer::Seen(size) if size > request.checkpoint.size => anyhow::bail!(
                    "THE LOG IS SHORTER than what this witness saw: {size} entries, and there are {}; \
                     was the store put back to an older state?",
                    request.checkpoint.size
                ),
                Answer::Seen(size) => old = Some(size),
            }
        }
        anyhow::bail!("it saw another checkpoint each time it was asked")
    }
}

/// Have a witness look at `request`.
async fn answer(url: &Url, request: &Request) -> anyhow::Result<Answer> {
    let mut place = url.clone();
    place
        .path_segments_mut()
        .map_err(|()| anyhow::anyhow!("no address"))?
        .pop_if_empty()
        .push("add-checkpoint");
    let body = request.to_string().into_bytes();
    let (status, body) =
        http::ask(&place, "text/plain; charset=utf-8", body, MAX_NOTE, PATIENCE).await?;
    let text = String::from_utf8_lossy(&body);
    match status {
        StatusCode::OK => Ok(Answer::Signed(text.into_owned())),
        StatusCode::CONFLICT => {
            let seen = text.trim_end().parse();
            Ok(Answer::Seen(seen.map_err(|_| anyhow::anyhow!("its 409 names no size"))?))
        }
        StatusCode::UNPROCESSABLE_ENTITY => anyhow::bail!(
            "THE LOG DOES NOT CONTINUE what this witness saw, it says (422): {}",
            shown_within(text.trim(), MAX_TOLD)
        ),
        other => anyhow::bail!("it answered {other}: {}", shown_within(text.trim(), MAX_TOLD)),
    }
}
