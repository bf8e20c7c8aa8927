//! Owns the pipeline of a comparison: two captures, and what is different between them, which is
//! derived from them and kept as such.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::attempt::millis_between;
use super::backends::{Chosen, passed_on, side};
use super::queue::Gone;
use super::record::with_artifacts;
use super::{Ask, Captures, Kept, Refused, check_session, unreadable};
use crate::artifact::{Artifact, NewArtifact};
use crate::backend::BackendName;
use crate::blob::Blob;
use crate::compare::{Bitmap, CompareError, compare_within};
use crate::digest::Digest;
use crate::error::{Code, Problem, chain};
use crate::id::RunId;
use crate::request::{CaptureRequest, ComparisonRequest};
use crate::run::Event;
use crate::runs::Work;
use crate::settings::{Stage, Target, presentable};

/// A comparison that was carried out.
#[derive(Debug)]
pub struct Compared {
    /// The run.
    pub run: RunId,
    /// Who took the pictures.
    pub backend: BackendName,
    /// The answer.
    pub answer: Value,
}

/// One of the two pictures.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// Name of its capture.
    pub(super) capture: String,
    /// Who took it.
    pub(super) by: BackendName,
    /// PNG.
    pub(super) bytes: Blob,
}

/// What is different between two pictures, on disk.
pub(super) struct Difference {
    /// The picture that shows it, PNG.
    pub(super) image: Vec<u8>,
    /// The numbers: `changed_pct`, `changed_pixels`, `total_pixels`, `regions`, …
    pub(super) facts: Value,
    pub(super) artifacts: Vec<Artifact>,
}

impl Captures {
    /// Compare two pages. The work goes on when the caller hangs up.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn compare(&self, ask: Ask) -> Result<Compared, Box<Refused>> {
        let this = self.clone();
        let work = |gone| async move { Box::pin(this.carry_out_comparison(ask, gone)).await };
        self.detached("comparing the pages", "/diff", work).await
    }

    async fn carry_out_comparison(&self, ask: Ask, gone: Gone) -> Result<Compared, Box<Refused>> {
        let by = self.choose(&ask)?;
        let Ask { caller, run, stage, body, .. } = ask;
        let sent = if by == BackendName::Hosted { body.clone() } else { Value::Null };
        let read = |body| ComparisonRequest::read(body).and_then(|r| self.allowed_pages(r));
        let ComparisonRequest { pages: [before, after], threshold, stage: own } =
            self.understand(&caller, run, body, read).await?;
        let urls = [&before, &after].map(|request| match &request.settings.page.target {
            Target::Url(url) => Some(presentable(url)),
            _ => None,
        });
        check_session(by, &before.settings.page)?;
        let chosen = |request: &CaptureRequest, url, html| {
            let pass_on = || passed_on(side(&sent, url, html), &request.aliases, &request.ignored);
            Chosen::of(by, "/screenshot", pass_on)
        };
        let chosen = [chosen(&before, "url_a", "html_a"), chosen(&after, "url_b", "html_b")];
        let places = (self.queue(&caller, &gone)?, self.queue(&caller, &gone)?);
        let stage = own.or(stage).unwrap_or_else(Stage::during);
        let (work, standalone) = self.run(run, caller, by).await?;
        let begun = self.0.runs.clock().now();
        let [first, second] = chosen;
        let before = self.begin(work.clone(), stage.clone(), first, before).await?;
        let after = self.begin(work.clone(), stage, second, after).await?;
        let taken = tokio::join!(self.obtain(&before, places.0), self.obtain(&after, places.1));
        let mut sides = Vec::new();
        let (mut first_failure, mut captures) = (None, Vec::new());
        for (attempt, outcome) in [(&before, taken.0), (&after, taken.1)] {
            let kept = match outcome {
                Ok(taken) => self.keep(attempt, taken).await,
                Err(failed) => Err(*failed),
            };
            match kept {
                Ok(Kept { by, bytes, .. }) => {
                    captures.push(attempt.evidence(by));
                    sides.push(Side { capture: attempt.name.clone(), by, bytes });
                }
                // Both failures go on record, and the first is the answer.
                Err(failed) => {
                    captures.push(attempt.evidence(by));
                    let (problem, _) = self.keep_failure(attempt, failed).await;
                    first_failure = first_failure.or(Some(problem));
                }
            }
        }
        // The hosted service has a part in it as soon as one of the two is its.
        let by = sides.iter().map(|side| side.by).find(|by| *by == BackendName::Hosted);
        let by = by.unwrap_or(BackendName::Chromium);
        let difference = match (first_failure, <[Side; 2]>::try_from(sides)) {
            (None, Ok(sides)) => self.difference(&work, sides, threshold).await,
            (Some(problem), _) => Err(problem),
            (None, Err(_)) => Err(Problem::new(Code::Internal, "a picture got lost; ask again")),
        };
        // Their hold on the run would keep it from being sealed.
        drop((before, after));
        let id = work.run.id;
        let mut evidence = json!({ "run": work.run.id, "backend": by, "captures": captures });
        let difference = self.end_comparison(work, standalone, &mut evidence, difference).await?;
        let duration_ms = millis_between(begun, self.0.runs.clock().now());
        let Difference { image, facts, artifacts } = difference;
        evidence["artifacts"] = json!(artifacts);
        let mut answer = facts;
        let [url_a, url_b] = urls;
        answer["diff_image"] = json!(STANDARD.encode(image));
        answer["url_a"] = json!(url_a);
        answer["url_b"] = json!(url_b);
        answer["duration_ms"] = json!(duration_ms);
        answer["evidence"] = evidence;
        Ok(Compared { run: id, backend: by, answer })
    }

    fn allowed_pages(&self, request: ComparisonRequest) -> Result<ComparisonRequest, Problem> {
        for page in &request.pages {
            if let Target::Url(url) = &page.settings.page.target {
                self.0.policy.borrow().check_url(url)?;
            }
        }
        Ok(request)
    }

    /// Compare two pictures that are on disk, and put the difference there too.
    pub(super) async fn difference(
        &self,
        work: &Work,
        [before, after]: [Side; 2],
        threshold: f64,
    ) -> Result<Difference, Problem> {
        let max_pixels = self.0.config.borrow().capture.max_pixels;
        let comparing = (before.clone(), after.clone());
        let compared = self.0.tasks.spawn_blocking(move || {
            let read = |side: &Side| {
                let bytes = side.bytes.bytes().map_err(unreadable)?;
                Bitmap::from_png(&bytes, max_pixels).map_err(problem)
            };
            let (before, after) = (read(&comparing.0)?, read(&comparing.1)?);
            let comparison =
                compare_within(&before, &after, threshold, max_pixels).map_err(problem)?;
            let image = comparison.image.to_png().map_err(problem)?;
            Ok::<_, Problem>((comparison, image))
        });
        let compared = compared.await.map_err(|error| Problem::internal("comparing", error))?;
        let (comparison, image) = compared?;
        let facts = json!({
            "changed_pct": comparison.changed_percent(),
            "changed_pixels": comparison.changed_pixels,
            "total_pixels": comparison.total_pixels,
            "anti_aliased_pixels": comparison.anti_aliased_pixels,
            "threshold": threshold,
            "regions": comparison.regions,
        });
        let side = |side: &Side| {
            let sha256 = side.bytes.digest().map_err(unreadable)?;
            Ok::<_, Problem>(json!({ "capture": side.capture, "sha256": sha256 }))
        };
        let mut data = facts.clone();
        data["before"] = side(&before)?;
        data["after"] = side(&after)?;
        let mut document = data.clone();
        document["format"] = json!("exhibit/1");
        document["derived"] = json!(true);
        document["run"] = json!(work.run.id);
        document["image"] = json!({
            "file": "diff.png", "media_type": "image/png", "size_bytes": image.len(),
            "sha256": Digest::of(&image),
        });
        let document = serde_json::to_vec_pretty(&document)
            .map_err(|error| Problem::internal("writing down the difference", error))?;
        let file = |name: &str, media_type, bytes| {
            let path = format!("comparisons/{}/{name}", after.capture);
            NewArtifact { path, media_type, bytes }
        };
        let files = vec![
            file("diff.png", "image/png", image.clone().into()),
            file("comparison.json", "application/json", document.into()),
        ];
        let event = Event::exhibit("captures.compared", data);
        let tell = move |artifacts: &[Artifact]| with_artifacts(event, artifacts);
        let (artifacts, _) = self.0.runs.add(work, files, tell).await?;
        Ok(Difference { image, facts, artifacts })
    }

    /// Seal a run of its own. The difference, or the failure with where it is on record.
    async fn end_comparison(
        &self,
        work: Work,
        standalone: bool,
        evidence: &mut Value,
        difference: Result<Difference, Problem>,
    ) -> Result<Difference, Box<Refused>> {
        if standalone {
            let outcome = if difference.is_ok() { "succeeded" } else { "failed" };
            match self.seal(work, outcome).await {
                Ok(receipt) => evidence["receipt"] = json!(receipt),
                Err(error) if difference.is_ok() => return Err(error.into()),
                Err(error) => tracing::error!(error = chain(&error), "a comparison is not sealed"),
            }
        }
        difference
            .map_err(|problem| Box::new(Refused { problem, evidence: Some(evidence.clone()) }))
    }
}

/// Why two pictures could not be compared.
fn problem(error: CompareError) -> Problem {
    if let CompareError::TooLarge { width, height, max_pixels } = &error {
        let message = format!(
            "what is to be compared is {width} × {height} pixels, more than `capture.max_pixels` \
             ({max_pixels}); ask for a `clip` or a `selector`"
        );
        return Problem::new(Code::PictureTooLarge, message).field("fullPage");
    }
    Problem::internal("comparing the pictures", error)
}
