//! Owns timestamps as the daemon gets them: by courier, or from an authority in the network at
//! intervals. What fails here is logged and tried again; nothing waits for it.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::Runs;
use super::problem::store_problem;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::{StampRefusal, Stamped};
use crate::http;
use crate::tasks::Tasks;
use crate::timestamp::{MAX_STAMP, QUERY, Request};

/// How long an authority may take to answer.
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
        let mut config = self.0.config.clone();
        loop {
            let settings = config.borrow_and_update().timestamp.clone();
            let pause = settings.every;
            let turn = async {
                if let Some(url) = &settings.url {
                    self.stamp_now(url, pause).await;
                }
                tokio::time::sleep(pause).await;
            };
            let other = async {
                loop {
                    if config.changed().await.is_err() {
                        // Nobody will change it any more.
                        std::future::pending::<()>().await;
                    }
                    if config.borrow_and_update().timestamp != settings {
                        return;
                    }
                }
            };
            tokio::select! {
                () = tasks.stopping() => return,
                () = turn => {}
                () = other => {}
            }
        }
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
        let response = ask(url, &request).await.map_err(|error| {
            Problem::new(Code::BackendFailed, "the timestamp authority did not answer")
                .because(error)
        })?;
        self.take_stamp(response).await.map(drop)
    }
}

fn refused(refusal: &StampRefusal, remedy: &str) -> Problem {
    Problem::new(Code::InvalidField, format!("not taken in: {refusal}; {remedy}")).field("body")
}

/// Ask the authority at `url` (RFC 3161, 3.4).
async fn ask(url: &Url, request: &Request) -> anyhow::Result<Vec<u8>> {
    // Nobody is followed elsewhere, and no proxy of the environment is used, which nobody named.
    let client = http::client()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .user_agent(concat!("exhibit/", env!("CARGO_PKG_VERSION")))
        .build()?;
    let post = client.post(url.clone()).header(CONTENT_TYPE, QUERY);
    let mut answer = post.body(request.bytes().to_vec()).send().await?;
    anyhow::ensure!(answer.status().is_success(), "it answered {}", answer.status());
    let mut response = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        response.extend_from_slice(&chunk);
        anyhow::ensure!(response.len() as u64 <= MAX_STAMP, "its answer is too long");
    }
    Ok(response)
}
