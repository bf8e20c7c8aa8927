//! Owns timestamps over the log as the daemon gets them: by an operator who carries files, or from an
//! authority in the network at intervals. What fails here is logged and tried again; nothing waits for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use url::Url;

use super::LogService;
use super::turns::in_turns;
use crate::auth::operator;
use crate::config::Timestamping;
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::{StampRefusal, Stamped};
use crate::http;
use crate::run::Caller;
use crate::runs::problem::store_problem;
use crate::spans;
use crate::tasks::Tasks;
use crate::timestamp::{Authorities, MAX_STAMP, QUERY, Request};

/// How long an authority may take to answer about the log.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes of certificates that are read.
const MAX_CERTIFICATES: u64 = 1 << 20;

impl LogService {
    /// What an operator has to have an authority answer, over the newest checkpoint; it is kept.
    ///
    /// # Errors
    /// `not_an_operator`; what the log says.
    pub async fn timestamp_request(&self, caller: &Caller) -> Result<Request, Problem> {
        operator(caller)?;
        self.request_stamp().await
    }

    /// Take in what an operator had an authority answer.
    ///
    /// # Errors
    /// `not_an_operator`; `invalid_field` when it is no sound answer to a request that is kept, or by
    /// nobody in `timestamp.authorities`; what the log says.
    pub async fn bring_stamp(
        &self,
        caller: &Caller,
        response: Vec<u8>,
    ) -> Result<Stamped, Problem> {
        operator(caller)?;
        self.take_stamp(response).await
    }

    async fn request_stamp(&self) -> Result<Request, Problem> {
        let asked = self.ask_log(|log| log.timestamp_request().map_err(store_problem)).await;
        asked.map(|(_, request)| request)
    }

    async fn take_stamp(&self, response: Vec<u8>) -> Result<Stamped, Problem> {
        let (believed, at) = (self.authorities(), self.0.context.clock.now());
        let taken = self.ask_log(move |log| {
            let believed = believed?;
            log.take_stamp(&response, believed.as_ref(), at).map_err(|refusal| match refusal {
                StampRefusal::Store(error) => store_problem(error),
                StampRefusal::NotAsked => refused(&refusal, "export one and have that answered"),
                _ => refused(&refusal, "have the request answered again, or by another authority"),
            })
        });
        let taken = taken.await?;
        tracing::info!(size = taken.size, time = %taken.stamp.time, "a checkpoint was timestamped");
        Ok(taken)
    }

    /// The newest checkpoint that has a timestamp, by one of `timestamp.authorities` where these are
    /// configured.
    ///
    /// # Errors
    /// What the log says.
    pub async fn stamped(&self) -> Result<Option<Stamped>, Problem> {
        let believed = self.authorities();
        self.ask_log(move |log| log.stamped(believed?.as_ref()).map_err(store_problem)).await
    }

    fn authorities(&self) -> Result<Option<Authorities>, Problem> {
        let file = self.0.context.config.borrow().timestamp.authorities.clone();
        file.as_deref().map(authorities_in).transpose().map_err(|error| {
            let message =
                "`timestamp.authorities` cannot be used; put PEM certificates into its file";
            Problem::new(Code::Internal, message).because(error)
        })
    }

    /// Have the configured authority stamp the newest checkpoint whenever the log has grown, until
    /// `tasks` are to stop. What others gave does not count as its answer.
    pub async fn stamp(self, tasks: Tasks) {
        let config = self.0.context.config.clone();
        let stamped = Arc::new(AtomicU64::new(0));
        let turn = |settings: Timestamping| {
            let (this, stamped) = (self.clone(), Arc::clone(&stamped));
            async move {
                if let Some(url) = &settings.url {
                    this.stamp_now(url, settings.every, &stamped).await;
                }
                settings.every
            }
        };
        in_turns(config, tasks, |config| config.timestamp.clone(), turn).await;
    }

    async fn stamp_now(&self, url: &Url, again: Duration, stamped: &AtomicU64) {
        if let Err(problem) = self.stamp_from(url, stamped).await {
            let error = chain(&problem);
            tracing::warn!(
                error,
                again_ms = spans::millis(again),
                "no timestamp was got; it is tried again"
            );
        }
    }

    /// Ask the authority at `url` when the log has grown beyond the size `stamped`, up to which it
    /// answered.
    async fn stamp_from(&self, url: &Url, stamped: &AtomicU64) -> Result<(), Problem> {
        if self.0.context.log.checkpoint().1.size <= stamped.load(Ordering::Relaxed) {
            return Ok(());
        }
        let request = self.request_stamp().await?;
        let response = ask(url, &request, PATIENCE).await.map_err(|error| {
            Problem::new(Code::BackendFailed, "the timestamp authority did not answer")
                .because(error)
        })?;
        let taken = self.take_stamp(response).await?;
        // The entry that tells of the answer is no growth that needs one.
        let grown = self.0.context.log.checkpoint().1.size;
        let own = if grown == taken.size + 1 { grown } else { taken.size };
        stamped.store(own, Ordering::Relaxed);
        Ok(())
    }
}

/// The certificates in the file at `path`.
pub(super) fn authorities_in(path: &Path) -> anyhow::Result<Authorities> {
    let pem = disk::read_limited(path, MAX_CERTIFICATES)
        .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    Authorities::from_pem(&pem).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

fn refused(refusal: &StampRefusal, remedy: &str) -> Problem {
    Problem::new(Code::InvalidField, format!("not taken in: {refusal}; {remedy}")).field("body")
}

/// Ask the authority at `url` (RFC 3161, 3.4), and give up after `patience`.
pub(in crate::runs) async fn ask(
    url: &Url,
    request: &Request,
    patience: Duration,
) -> anyhow::Result<Vec<u8>> {
    let asked = http::ask(url, QUERY, request.bytes().to_vec(), MAX_STAMP, patience);
    let (status, response) = asked.await?;
    anyhow::ensure!(status.is_success(), "it answered {status}");
    Ok(response)
}
