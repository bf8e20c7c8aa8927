//! Owns the intake of what agents say: one event, a list, or a stream of lines that is read as fast
//! as they come to lie on disk, with one line in memory at a time.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::{Extension, Json};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::Api;
use super::answer::{Failure, body_as, broken_body, in_turn, run_in_path};
use crate::capture::Refused;
use crate::error::{Code, Problem};
use crate::request::{read_event, read_events, read_json};
use crate::run::{Caller, Event, Recorded};
use crate::runs::Work;

/// Media types of a stream of lines.
const LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
/// Most lines that are written at once.
const AT_ONCE: usize = 500;

pub(super) async fn events(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let id = run_in_path(id)?;
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if LINES.iter().any(|known| media_type.eq_ignore_ascii_case(known)) {
        let work = api.runs.work(id, &caller).await?;
        let intake = Intake::new(&api, work).take(request).await;
        return intake.map(|answer| (StatusCode::CREATED, Json(answer)));
    }
    let events = body_as(&api, request, read_events).await?;
    let work = api.runs.work(id, &caller).await?;
    let recorded = api.runs.record(&work, events).await?;
    Ok((StatusCode::CREATED, Json(json!({ "run": id, "recorded": recorded }))))
}

/// A stream of lines on its way into a run.
struct Intake<'a> {
    api: &'a Api,
    work: Work,
    /// Largest line in bytes.
    limit: usize,
    /// The beginning of a line whose end is not here yet.
    rest: Vec<u8>,
    /// Lines read, empty ones included.
    lines: u64,
    /// Events that were read and are not written yet, with the line of the first.
    waiting: Vec<Event>,
    accepted: u64,
    first: Option<Recorded>,
    last: Option<Recorded>,
}

impl<'a> Intake<'a> {
    fn new(api: &'a Api, work: Work) -> Self {
        let limit = api.config.borrow().events.max_size;
        Self {
            api,
            work,
            // What stands around an event's text on its line.
            limit: usize::try_from(limit).unwrap_or(usize::MAX).saturating_mul(2),
            rest: Vec::new(),
            lines: 0,
            waiting: Vec::new(),
            accepted: 0,
            first: None,
            last: None,
        }
    }

    /// Take in all lines of the body. What was accepted before something went wrong stays, and the
    /// refusal says how much that is.
    async fn take(mut self, request: Request) -> Result<Value, Failure> {
        match self.read(request).await {
            Ok(()) => Ok(self.to_json()),
            Err(problem) => {
                let evidence = Some(self.to_json());
                Err(Box::new(Refused { problem, evidence }).into())
            }
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "run": self.work.run.id, "accepted": self.accepted, "first": self.first,
            "last": self.last,
        })
    }

    async fn read(&mut self, request: Request) -> Result<(), Problem> {
        let idle = self.api.config.borrow().runs.idle;
        let mut body = request.into_body().into_data_stream();
        let stalled = |_| {
            let message =
                format!("nothing arrived for `runs.idle` ({idle:?}); send without pauses");
            Problem::new(Code::RequestTimeout, message)
        };
        while let Some(chunk) = tokio::time::timeout(idle, body.next()).await.map_err(stalled)? {
            let chunk = chunk.map_err(broken_body)?;
            let outcome = self.parts(&chunk).await;
            self.write().await?;
            outcome?;
        }
        let last = std::mem::take(&mut self.rest);
        let outcome = if last.is_empty() { Ok(()) } else { self.line(last).await };
        self.write().await?;
        outcome?;
        if self.accepted == 0 {
            let message = "there is no event in the body; send one JSON object on each line";
            return Err(Problem::new(Code::MissingField, message).field("body"));
        }
        Ok(())
    }

    async fn parts(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.part(part).await?;
        }
        Ok(())
    }

    /// A piece of the body that ends where a line does, or where what has arrived ends.
    async fn part(&mut self, part: &[u8]) -> Result<(), Problem> {
        if self.rest.len() + part.len() > self.limit {
            let message = format!(
                "line {} is longer than {} bytes; send less, or attach what is long as a file",
                self.lines + 1,
                self.limit
            );
            return Err(Problem::new(Code::BodyTooLarge, message).field(self.next()));
        }
        self.rest.extend_from_slice(part);
        if !part.ends_with(b"\n") {
            return Ok(());
        }
        let line = std::mem::take(&mut self.rest);
        self.line(line).await
    }

    fn next(&self) -> String {
        format!("line {}", self.lines + 1)
    }

    async fn line(&mut self, bytes: Vec<u8>) -> Result<(), Problem> {
        let place = self.next();
        if !bytes.trim_ascii().is_empty() {
            let tasks = self.api.runs.tasks();
            let event = in_turn(tasks, bytes.len(), move || event_in(bytes.trim_ascii())).await;
            self.waiting.push(event.map_err(|problem| on_line(problem, &place))?);
        }
        self.lines += 1;
        Ok(())
    }

    /// Write what is waiting; it is acknowledged by nothing before.
    async fn write(&mut self) -> Result<(), Problem> {
        let mut waiting = std::mem::take(&mut self.waiting);
        while !waiting.is_empty() {
            let later = waiting.split_off(waiting.len().min(AT_ONCE));
            let recorded = self.api.runs.record(&self.work, waiting).await?;
            self.accepted += recorded.len() as u64;
            let last = recorded.last().cloned();
            self.first = self.first.take().or_else(|| recorded.into_iter().next());
            self.last = last.or(self.last.take());
            waiting = later;
        }
        Ok(())
    }
}

/// The event that a line tells.
fn event_in(line: &[u8]) -> Result<Event, Problem> {
    let event = read_json(line).map_err(|problem| match problem.code {
        Code::InvalidJson => {
            let message = "it is not JSON; send one JSON object on each line";
            Problem::new(Code::InvalidJson, message).because(problem)
        }
        _ => problem,
    });
    read_event(event?)
}

/// The same problem, with the line it is on.
fn on_line(mut problem: Problem, place: &str) -> Problem {
    problem.message = format!("{place}: {}", problem.message);
    problem.field = Some(match problem.field.take() {
        Some(field) => format!("{place}: {field}"),
        None => place.to_owned(),
    });
    problem
}
