//! Owns the asking of the configured timestamp authority while a run is sealed. A seal is held up for
//! `timestamp.patience` and no longer: without an answer by then the run is sealed without, which is
//! logged and counted. Judges nobody; whom to believe, each auditor decides.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;
use tokio::sync::watch;

use super::LogService;
use super::stamping::{ask, authorities_in};
use crate::clock::Clock;
use crate::config::Config;
use crate::evidence::TimestampAuthority;
use crate::id::RunId;
use crate::tasks::Tasks;
use crate::timestamp::{Request, TimestampToken};

/// How long nobody is asked after an authority let the patience run out: each of many small runs
/// would be held up as long.
const REST: Duration = Duration::from_secs(60);
/// How far the clocks of host and authority may be apart before it is worth a word.
const APART: SignedDuration = SignedDuration::from_mins(1);

/// How the sealed runs of this life of the daemon fared with the authority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimestampStats {
    /// Runs that were sealed with a timestamp over their signature.
    pub stamped: u64,
    /// Runs that were sealed without, though an authority is configured.
    pub without: u64,
    /// Why the last of those was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// The configured authority, as sealing asks it.
#[derive(Debug)]
pub(in crate::runs) struct Authority {
    config: watch::Receiver<Arc<Config>>,
    clock: Clock,
    tasks: Tasks,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: TimestampStats,
    /// By the monotonic clock: until when nobody is asked.
    rests_until: Option<Duration>,
}

/// Why there is no timestamp.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the authority did not answer within `timestamp.patience` ({0:?})")]
    Late(Duration),
    #[error("the authority let `timestamp.patience` run out a moment ago, and rests")]
    Resting,
    #[error("the authority answered with no timestamp: {0:#}")]
    Failed(anyhow::Error),
    #[error("the authority answered something else than it was asked: {0}")]
    Unsound(String),
}

impl Authority {
    pub(in crate::runs) fn new(
        config: watch::Receiver<Arc<Config>>,
        clock: Clock,
        tasks: Tasks,
    ) -> Self {
        Self { config, clock, tasks, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(
        &self,
        url: url::Url,
        patience: Duration,
        request: &Request,
    ) -> Result<(Vec<u8>, TimestampToken), Failure> {
        let now = self.clock.now().monotonic;
        if self.state().rests_until.is_some_and(|until| now < until) {
            return Err(Failure::Resting);
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let asked = request.clone();
        drop(self.tasks.spawn(async move {
            // Whoever waited may have left.
            let _ = answer.send(ask(&url, &asked, patience).await);
        }));
        let response = match answered.recv_timeout(patience) {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if is_late(&error) => return Err(Failure::Late(patience)),
            Ok(Err(error)) => return Err(Failure::Failed(error)),
            Err(_) => return Err(Failure::Late(patience)),
        };
        let response = TimestampToken::without_words(&response);
        let stamp = TimestampToken::parse(&response)
            .map_err(|error| Failure::Unsound(error.to_string()))?;
        if !stamp.answers(request) {
            return Err(Failure::Unsound("it is over something else".to_owned()));
        }
        self.judge(&stamp)?;
        Ok((response, stamp))
    }

    /// Whether the configured authorities, if any are, include the one that gave `stamp`.
    fn judge(&self, stamp: &TimestampToken) -> Result<(), Failure> {
        let file = self.config.borrow().timestamp.authorities.clone();
        let Some(file) = file else { return Ok(()) };
        let believed = authorities_in(&file).map_err(Failure::Failed)?;
        let foreign = |why| Failure::Unsound(format!("not one of `timestamp.authorities`: {why}"));
        believed.judge(stamp).map(drop).map_err(foreign)
    }
}

fn is_late(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
}

impl TimestampAuthority for Authority {
    fn ask(&self, run: RunId, request: &Request) -> Option<Vec<u8>> {
        let settings = self.config.borrow().timestamp.clone();
        let url = settings.url.filter(|_| settings.patience > Duration::ZERO)?;
        match self.stamp(url, settings.patience, request) {
            Ok((response, stamp)) => {
                self.state().asked.stamped += 1;
                let apart = stamp.time.duration_since(self.clock.now().wall).abs();
                if apart > APART {
                    tracing::warn!(%run, time = %stamp.time, apart_s = apart.as_secs(), "the clocks of this host and the timestamp authority are apart: auditors will find the time of sealing wrong");
                }
                Some(response)
            }
            Err(failure) => {
                let because = failure.to_string();
                tracing::warn!(%run, because, "the run is sealed without a timestamp of its own");
                let mut state = self.state();
                if matches!(failure, Failure::Late(_)) {
                    state.rests_until = Some(self.clock.now().monotonic + REST);
                }
                state.asked.without += 1;
                state.asked.because = Some(because);
                None
            }
        }
    }
}

impl LogService {
    /// How the sealed runs fared with the authority; none when nobody is to be asked.
    pub fn timestamp_stats(&self) -> Option<TimestampStats> {
        let settings = self.0.context.config.borrow().timestamp.clone();
        settings.url.filter(|_| settings.patience > Duration::ZERO)?;
        Some(self.0.authority.state().asked.clone())
    }
}
