//! Owns what the demonstration's agents do: three workflows, each against an application of its
//! own, by the daemon's API as any caller uses it. Anything can be left out, to see what is said of
//! an incomplete run.

mod access;
mod refund;
mod validation;

use serde_json::{Value, json};

use crate::client::Client;
use crate::clock::Clock;
use crate::error::Problem;
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::RunSpec;
use crate::tasks::Tasks;

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// A duplicate charge is refunded.
    Refund,
    /// Somebody's role is changed, with an approval.
    AccessChange,
    /// A batch of payments is checked.
    DataValidation,
}

/// What can be left out of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Every event of the agent's.
    Log,
    /// The code reference.
    Code,
    /// Every capture and recording.
    Visual,
    /// The picture before.
    Before,
    /// The picture after.
    After,
    /// The recording.
    Recording,
    /// The approval.
    Approval,
    /// Which agent acts.
    Agent,
    /// On whose behalf.
    Principal,
    /// What it is about.
    Subject,
}

impl Scenario {
    /// Open the application that the scenario acts in; its address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open_desk(self, clock: Clock, tasks: &Tasks) -> std::io::Result<String> {
        match self {
            Self::Refund => super::desk::Desk::start(clock, tasks).await.map(|desk| desk.url()),
            Self::AccessChange => super::access::start(clock, tasks).await,
            Self::DataValidation => super::validation::start(clock, tasks).await,
        }
    }

    /// The workflow of its run.
    pub fn workflow(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::AccessChange => "access-change",
            Self::DataValidation => "data-validation",
        }
    }
}

/// An agent at work.
#[derive(Debug)]
pub struct Agent<'a> {
    /// The daemon.
    pub client: &'a Client,
    /// Address of the application.
    pub desk: String,
    /// What is left out.
    pub without: Vec<Part>,
    /// Whether it moves slowly enough for a person to follow the recording.
    pub calm: bool,
}

impl Agent<'_> {
    /// Carry out `scenario`; `tell` hears of each step before it is taken.
    ///
    /// # Errors
    /// Whatever stood in the way.
    pub async fn perform(
        &self,
        scenario: Scenario,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Receipt, Problem> {
        match scenario {
            Scenario::Refund => refund::perform(self, tell).await,
            Scenario::AccessChange => access::perform(self, tell).await,
            Scenario::DataValidation => validation::perform(self, tell).await,
        }
    }

    fn lacks(&self, part: Part) -> bool {
        let visual = matches!(part, Part::Before | Part::After | Part::Recording);
        let log = part == Part::Approval && self.without.contains(&Part::Log);
        self.without.contains(&part) || log || (visual && self.without.contains(&Part::Visual))
    }

    /// What is told of a step that makes `part`, or of its being left out.
    fn step(&self, part: Part, what: &str) -> String {
        match (self.lacks(part), part) {
            (false, _) => what.to_owned(),
            (true, Part::Recording) => what.replace(", recorded", ", not recorded"),
            (true, _) => format!("leaving out: {what}"),
        }
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.desk.trim_end_matches('/'))
    }

    /// Milliseconds to rest, for whoever watches.
    fn rest(&self, milliseconds: u32) -> u32 {
        if self.calm { milliseconds } else { 0 }
    }

    async fn open(&self, mut spec: RunSpec) -> Result<RunId, Problem> {
        for (part, field) in [
            (Part::Agent, &mut spec.agent),
            (Part::Principal, &mut spec.principal),
            (Part::Subject, &mut spec.subject),
        ] {
            if self.lacks(part) {
                *field = None;
            }
        }
        self.client.open_run(&spec).await
    }

    /// Attach the source of this very agent, and name it as the code that runs.
    async fn code(&self, run: RunId, name: &str, source: &'static str) -> Result<(), Problem> {
        if self.lacks(Part::Code) {
            return Ok(());
        }
        self.client.attach(run, name, "text/x-rust", source).await?;
        let body = json!({
            "attachment": name, "path": format!("src/demo/scenario/{name}"), "symbol": "perform",
            "repository": "exhibit", "reviewer": "dana@example.com",
            "review": "https://git.example/exhibit/reviews/7",
        });
        self.client.call(&format!("/runs/{run}/code"), None, body).await.map(drop)
    }

    async fn log(&self, run: RunId, kind: &str, text: &str, data: Value) -> Result<(), Problem> {
        let part = if kind == "approval" { Part::Approval } else { Part::Log };
        if self.lacks(part) {
            return Ok(());
        }
        let event = json!({ "kind": kind, "level": "info", "message": text, "data": data });
        self.client.log(run, &[event]).await.map(drop)
    }

    async fn capture(&self, run: RunId, part: Part, url: &str) -> Result<(), Problem> {
        let stage = if part == Part::Before { "before" } else { "after" };
        if self.lacks(part) {
            return Ok(());
        }
        // The pages are whole when they have loaded: nothing to wait for beyond that.
        let body = json!({ "url": url, "waitUntil": "load" });
        self.client.capture("screenshot", Some(run), Some(stage), body).await.map(drop)
    }

    /// Take `steps` in a page of their own; where nothing is to be seen, call `instead`, the path
    /// and body by which the application does the same.
    async fn act(&self, run: RunId, steps: Value, instead: (&str, Value)) -> Result<(), Problem> {
        if self.lacks(Part::Visual) {
            let failed = |error| Problem::internal("calling the desk", error);
            let client = crate::http::client().build().map_err(failed)?;
            let call = client.post(self.page(instead.0)).json(&instead.1);
            return call.send().await.map_err(failed)?.error_for_status().map_err(failed).map(drop);
        }
        let session =
            self.client.call("/sessions", Some(run), json!({})).await?["session_id"].take();
        let recordings = format!("/runs/{run}/recordings");
        let mut number = None;
        if !self.lacks(Part::Recording) {
            let started = json!({ "session_id": session });
            let started = self.client.call(&recordings, None, started).await?;
            number = started["recording"].as_str().map(str::to_owned);
        }
        let body = json!({ "session_id": session, "steps": steps, "stage": "during" });
        let answer = self.client.call("/sequence", Some(run), body).await?;
        if let Some(number) = number {
            self.client.call(&format!("{recordings}/{number}/stop"), None, json!({})).await?;
        }
        self.client.close_session(run, session.as_str().unwrap_or_default()).await?;
        if answer["steps_completed"] == answer["total_steps"] {
            return Ok(());
        }
        Err(Problem::internal("acting in the desk", answer["step_results"].to_string()))
    }

    /// What a run is about is known from elsewhere: a plain call, which the daemon has no part in.
    async fn fetch(&self, path: &str) -> Result<Value, Problem> {
        let failed = |error| Problem::internal("calling the desk", error);
        let answer = reqwest::get(self.page(path)).await.map_err(failed)?;
        answer.error_for_status().map_err(failed)?.json().await.map_err(failed)
    }
}
