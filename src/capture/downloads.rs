//! Owns what is on record of downloads: each is refused, and the event that says so has its address and
//! name, with the network traffic of the page until then where that is in no capture.

use serde_json::{Value, json};

use super::Captures;
use super::attempt::Attempt;
use super::record::with_artifacts;
use crate::artifact::{Artifact, NewArtifact};
use crate::backend::{Download, PageFacts};
use crate::digest::Digest;
use crate::error::Problem;
use crate::pack;
use crate::run::Event;
use crate::runs::Work;

impl Captures {
    /// Put `downloads` on record, of which `of` tells where they began, with the traffic in `network`
    /// unless that is null.
    pub(super) async fn keep_downloads(
        &self,
        work: &Work,
        downloads: &[Download],
        of: Value,
        network: Value,
    ) -> Result<(), Problem> {
        let told = downloads.iter().map(|download| refused(download, &of));
        let mut events: Vec<Event> = told.collect();
        if !events.is_empty() && !network.is_null() {
            let traffic = serde_json::to_vec(&network).map_err(std::io::Error::other);
            let packed = traffic.and_then(|bytes| pack::compress(&bytes));
            let packed = packed.map_err(|error| Problem::internal("keeping a download", error))?;
            let digest = Digest::of(&packed).to_string();
            let file = NewArtifact {
                path: format!("downloads/{}.har.zst", &digest[..16]),
                media_type: "application/json",
                bytes: packed.into(),
            };
            let first = events.remove(0);
            let tell = move |artifacts: &[Artifact]| with_artifacts(first, artifacts);
            self.0.runs.add(work, vec![file], tell).await?;
        }
        if !events.is_empty() {
            self.0.runs.record(work, events).await?;
        }
        Ok(())
    }

    /// Put on record what a capture's page was kept from downloading, by what was seen of it.
    pub(super) async fn keep_refused(
        &self,
        attempt: &Attempt,
        facts: Option<&PageFacts>,
    ) -> Result<(), Problem> {
        let Some(facts) = facts else { return Ok(()) };
        let of = json!({ "capture": attempt.name });
        self.keep_downloads(&attempt.work, &facts.downloads, of, Value::Null).await
    }
}

fn refused(download: &Download, of: &Value) -> Event {
    let mut data = json!(download);
    if let (Value::Object(data), Value::Object(of)) = (&mut data, of) {
        data.extend(of.clone());
    }
    Event::exhibit("download.refused", data)
}
