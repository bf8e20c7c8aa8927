//! Owns what is added to an open run: events, files, files that grow, attachments. Each is on disk
//! before it is acknowledged.

use std::time::Duration;

use serde_json::json;

use super::Registry;
use super::open::Work;
use crate::artifact::{Artifact, NewArtifact, is_safe_name};
use crate::blob::Blob;
use crate::clock::Moment;
use crate::config;
use crate::error::{Code, Problem};
use crate::evidence::{Attachment, GrowingFile};
use crate::redact::redact;
use crate::run::{Actor, Event, REDACTED, Recorded};
use crate::runs::problem::store_problem;

/// How long a file's writer may take to end, once nothing more comes to it.
const WRITER: Duration = Duration::from_secs(60);

impl Registry {
    /// Add events to a run, those of agents without what the configuration calls a secret. They are
    /// on disk when this returns.
    ///
    /// # Errors
    /// `run_sealed`, `body_too_large` for an event, or what the store says; then none is added.
    pub async fn record(
        &self,
        work: &Work,
        mut events: Vec<Event>,
    ) -> Result<Vec<Recorded>, Problem> {
        let (config, counts) = (self.0.context.config.borrow().clone(), self.0.counts.clone());
        let concludes = events.iter().any(concludes);
        let (most, agents) =
            (config.runs.max_events, events.iter().any(|event| event.actor == Actor::Agent));
        // Before the draft is held: what one caller says keeps no other from it.
        let admitted = move || {
            for event in events.iter_mut().filter(|event| event.actor == Actor::Agent) {
                admit(event, &config.events)?;
            }
            Ok(events)
        };
        let recorded = self.with_prepared(work, "recording events", admitted, move |draft, at, events| {
            if agents && draft.events() + events.len() as u64 > most {
                let message = format!("the run would have more than {most} events, which is `runs.max_events`; open another");
                return Err(Problem::new(Code::InvalidField, message));
            }
            counts.record(draft, &events, at)
        });
        let recorded = recorded.await?;
        if concludes {
            self.fix_head(work).await;
        } else {
            self.0.grown.notify_one();
        }
        Ok(recorded)
    }

    /// Add files to a run, and the event that `tell` makes of them: both are on disk when this
    /// returns, or neither.
    ///
    /// # Errors
    /// `run_sealed`, or what the store says.
    pub async fn add(
        &self,
        work: &Work,
        files: Vec<NewArtifact>,
        tell: impl FnOnce(&[Artifact]) -> Event + Send + 'static,
    ) -> Result<(Vec<Artifact>, Recorded), Problem> {
        let counts = self.0.counts.clone();
        let added = self.with_draft(work, "adding files", move |draft, at| {
            let artifacts = draft.add(files).map_err(store_problem)?;
            let mut recorded = counts.record(draft, &[tell(&artifacts)], at)?;
            Ok((artifacts, recorded.remove(0)))
        });
        let added = added.await?;
        self.fix_head(work).await;
        Ok(added)
    }

    /// What the run's events since `begun` say, for captions: from and to, in seconds since the
    /// epoch, and what.
    ///
    /// # Errors
    /// `run_sealed`, or when the events cannot be read.
    pub async fn captions_since(
        &self,
        work: &Work,
        begun: Moment,
    ) -> Result<Vec<(f64, f64, String)>, Problem> {
        self.with_draft(work, "reading the events", move |draft, _| {
            let said = draft.captions_since(&begun.to_rfc3339());
            said.map_err(|error| Problem::internal("reading the events", error))
        })
        .await
    }

    /// Begin a file that grows while the run goes on. The run is not sealed, and the store not let
    /// go of, until whoever has the file has dropped it.
    ///
    /// # Errors
    /// `name_taken`, or what the store says.
    pub async fn begin_growing(&self, work: &Work, name: String) -> Result<GrowingFile, Problem> {
        let head_room = self.0.context.config.borrow().store.min_free;
        let (this, held) = (self.clone(), work.clone());
        self.with_draft(work, "beginning a recording", move |draft, _| {
            let file = draft.begin_growing(&name, head_room).map_err(store_problem)?;
            let writer = held.run.writers.begin(&name);
            Ok(file.holding((writer, held, this)))
        })
        .await
    }

    /// Make the file `name`, which has grown, and others part of a run, and the event that `tell`
    /// makes of them, the grown one first. The grown file is handed out for reading. Waits until its
    /// writer has ended, however that came about.
    ///
    /// # Errors
    /// When the writer does not end; what the store says. The grown file then stays as it is.
    pub async fn finish_growing(
        &self,
        work: &Work,
        name: String,
        files: Vec<NewArtifact>,
        tell: impl FnOnce(&[Artifact]) -> Event + Send + 'static,
    ) -> Result<(Vec<Artifact>, Blob), Problem> {
        let counts = self.0.counts.clone();
        let gone = work.run.writers.gone(&name);
        if tokio::time::timeout(WRITER, gone).await.is_err() {
            let message = "its file is still being written; the run is sealed when that has ended";
            return Err(Problem::new(Code::Internal, message));
        }
        let finished = self.with_draft(work, "finishing a recording", move |draft, at| {
            let (artifact, file) = draft.finish_growing(&name).map_err(store_problem)?;
            let blob = Blob::of_file(file, artifact.size_bytes);
            let mut artifacts = vec![artifact];
            artifacts.extend(draft.add(files).map_err(store_problem)?);
            counts.record(draft, &[tell(&artifacts)], at)?;
            Ok((artifacts, blob))
        });
        let finished = finished.await?;
        self.fix_head(work).await;
        Ok(finished)
    }

    /// Begin a file of the caller's.
    ///
    /// # Errors
    /// `invalid_field` for its name, `name_taken`, or what the store says.
    pub async fn attachment(&self, work: &Work, name: &str) -> Result<Attachment, Problem> {
        if !is_safe_name(name) {
            let message = "`name` cannot be part of a path; give 1 to 100 of A-Z a-z 0-9 . _ -, \
                           beginning with a letter, a digit or an underscore";
            return Err(Problem::new(Code::InvalidField, message).field("name"));
        }
        let name = name.to_owned();
        self.with_draft(work, "beginning an attachment", move |draft, _| {
            draft.attachment(&name).map_err(store_problem)
        })
        .await
    }

    /// Make a written attachment part of its run.
    ///
    /// # Errors
    /// What the store says.
    pub async fn finish_attachment(
        &self,
        work: &Work,
        attachment: Attachment,
        media_type: String,
    ) -> Result<Artifact, Problem> {
        let counts = self.0.counts.clone();
        let finished = self.with_draft(work, "finishing an attachment", move |draft, at| {
            let artifact =
                draft.finish_attachment(attachment, &media_type).map_err(store_problem)?;
            let event = Event::exhibit("attachment.added", json!({ "artifact": artifact }));
            counts.record(draft, &[event], at)?;
            Ok(artifact)
        });
        let finished = finished.await?;
        self.fix_head(work).await;
        Ok(finished)
    }
}

/// Whether `event` tells what became of a capture that left no file, or of a sequence.
fn concludes(event: &Event) -> bool {
    let kinds = ["capture.failed", "capture.refused", "sequence.ended", "recording.failed"];
    event.actor == Actor::Exhibit && kinds.contains(&event.kind.as_str())
}

/// Judge the size of an agent's event and take secrets out of it.
fn admit(event: &mut Event, limits: &config::Events) -> Result<(), Problem> {
    let size = json!(event.data).to_string().len() as u64;
    if size > limits.max_size {
        let message = format!(
            "an event is {size} bytes long, more than `events.max_size` ({}); attach what is long \
             as a file",
            limits.max_size
        );
        return Err(Problem::new(Code::BodyTooLarge, message).field("data"));
    }
    if let Some(told) = redact(&limits.redact, &mut event.data, &[""]) {
        event.data.insert(REDACTED.to_owned(), told);
    }
    Ok(())
}
