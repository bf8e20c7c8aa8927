//! Owns timestamps over the log as the daemon gets them: by courier, or from an authority in the network at
//! intervals. What fails here is logged and tried again; nothing waits for it.

use std::time::Duration;

use url::Url;

use super::Runs;
use super::problem::store_problem;
use super::turns::in_turns;
use crate::config::Timestamping;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::{StampRefusal, Stamped};
use crate::http;
use crate::tasks::Tasks;
use crate::timestamp::{MAX_STAMP, QUERY, Request};

/// How long an authority may take to answer about the log.
const PATIENCE: Duration = Duration::from_secs(30);

impl Runs {
    /// What to ask an authority over the newest checkpoint; it is kept.
    ///
    /// # Errors
    /// What the log says.
    pub async fn timestamp_request(&self) -> Result<(u64, Request), Problem> {
        self.ask_log(|log| log.timestamp_request().map_err(store_problem)).await
    }

    /// Take in what an authority answered.
    ///
    /// # Errors
    /// `invalid_field` when it is no sound answer to a request that is kept; what the log says.
    pub async fn take_stamp(&self, response: Vec<u8>) -> Result<Stamped, Problem> {
        let taken = self.ask_log(move |log| {
            log.take_stamp(&response).map_err(|refusal| match refusal {
                StampRefusal::Store(error) => store_problem(error),
                StampRefusal::NotAsked => refused(&refusal, "export one and have that answered"),
                _ => refused(&refusal, "have the request answered again, or by another authority"),
            })
        });
        let taken = taken.await?;
        tracing::info!(size = taken.size, time = %taken.stamp.time, "a checkpoint was timestamped");
        Ok(taken)
    }

    /// The newest checkpoint that has a timestamp.
    ///
    /// # Errors
    /// What the log says.
    pub async fn stamped(&self) -> Result<Option<Stamped>, Problem> {
        self.ask_log(|log| log.stamped().map_err(store_problem)).await
    }

    /// Have the configured authority stamp the newest checkpoint whenever the log has grown, until
    /// `tasks` are to stop.
    pub async fn stamp(self, tasks: Tasks) {
        let config = self.0.config.clone();
        let turn = |settings: Timestamping| {
            let this = self.clone();
            async move {
                if let Some(url) = &settings.url {
                    this.stamp_now(url, settings.every).await;
                }
                settings.every
            }
        };
        in_turns(config, tasks, |config| config.timestamp.clone(), turn).await;
    }

    async fn stamp_now(&self, url: &Url, again: Duration) {
        if let Err(problem) = self.stamp_from(url).await {
            let error = chain(&problem);
            tracing::warn!(error, ?again, "no timestamp was got; it is tried again");
        }
    }

    async fn stamp_from(&self, url: &Url) -> Result<(), Problem> {
        let last = self.stamped().await?.map_or(0, |newest| newest.size);
        if self.log().checkpoint().1.size <= last {
            return Ok(());
        }
        let (_, request) = self.timestamp_request().await?;
        let response = ask(url, &request, PATIENCE).await.map_err(|error| {
            Problem::new(Code::BackendFailed, "the timestamp authority did not answer")
                .because(error)
        })?;
        self.take_stamp(response).await.map(drop)
    }
}

fn refused(refusal: &StampRefusal, remedy: &str) -> Problem {
    Problem::new(Code::InvalidField, format!("not taken in: {refusal}; {remedy}")).field("body")
}

/// Ask the authority at `url` (RFC 3161, 3.4), and give up after `patience`.
pub(super) async fn ask(
    url: &Url,
    request: &Request,
    patience: Duration,
) -> anyhow::Result<Vec<u8>> {
    let asked = http::ask(url, QUERY, request.bytes().to_vec(), MAX_STAMP, patience);
    let (status, response) = asked.await?;
    anyhow::ensure!(status.is_success(), "it answered {status}");
    Ok(response)
}
