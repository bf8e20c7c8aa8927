//! Owns the framed copy of a picture: what its caption says of the capture, and that a picture which
//! cannot be framed is kept all the same. Only what browser, kernel and caller said is told, and
//! whose word it is; nothing of it comes from the page.

use std::io::BufReader;

use serde_json::{Value, json};

use super::Captures;
use super::attempt::Attempt;
use crate::backend::{BackendName, CaptureResult, PageFacts};
use crate::blob::{Blob, BlobWriter};
use crate::caption::{self, Address, Caption, Encoding, FrameError, Inside, Words};
use crate::clock::{Moment, TimeQuality};
use crate::digest::Digest;
use crate::error::chain;
use crate::settings::{Product, Target, alteration, presentable};

/// What the file is called.
pub(super) const FRAMED: &str = "framed.png";
/// What it is.
pub(super) const MEDIA_TYPE: &str = "image/png";
/// Most characters of what a caller declared.
const DECLARED: usize = 160;
/// What the caption begins with.
const TITLE: &str = concat!(
    "EXHIBIT ",
    env!("CARGO_PKG_VERSION"),
    ": this caption is no part of the page; all of the page is inside the striped frame below"
);

/// What became of the framed copy.
pub(super) enum Framed {
    /// No picture was taken.
    Nothing,
    /// There is none, and this is why.
    LeftOut(String),
    /// It was made.
    Made {
        bytes: Blob,
        sha256: Digest,
        /// The file it is a copy of.
        of: String,
        inside: Inside,
    },
}

impl Framed {
    /// What its capture's event says of it; `capture.json` says more.
    pub(super) fn event_data(&self) -> Option<Value> {
        match self {
            Self::Nothing => None,
            Self::LeftOut(why) => Some(json!({ "left_out": why })),
            Self::Made { inside, of, .. } => Some(json!({ "of": of, "page": inside })),
        }
    }

    /// What `capture.json` says of it.
    pub(super) fn record(&self) -> Option<Value> {
        let mut record = self.event_data()?;
        if let Self::Made { bytes, sha256, .. } = self {
            record["file"] = json!(FRAMED);
            record["media_type"] = json!(MEDIA_TYPE);
            record["size_bytes"] = json!(bytes.len());
            record["sha256"] = json!(sha256);
        }
        Some(record)
    }
}

/// A picture that was taken.
struct SourceImage {
    name: String,
    encoding: Encoding,
    bytes: Blob,
}

impl Captures {
    /// Frame the picture that was taken, if one was.
    pub(super) async fn frame(
        &self,
        attempt: &Attempt,
        taken: &CaptureResult,
        at: Moment,
    ) -> Framed {
        let Some(picture) = picture_of(attempt, taken) else { return Framed::Nothing };
        let limits = self.0.config.borrow().capture.clone();
        if !limits.framed {
            return Framed::LeftOut("`capture.framed` is off".to_owned());
        }
        let density = attempt.request.settings.page.viewport.device_scale_factor;
        let (spool, said) = (self.spool(), caption_of(attempt, taken, at));
        let work = self.0.tasks.spawn_blocking(move || {
            let SourceImage { name, encoding, bytes } = picture;
            let sha256 = bytes.digest().map_err(FrameError::Read)?;
            let digest = Words::default().plain(&format!("{sha256} of {name}"));
            let caption = said.field("SHA-256", digest);
            let mut out = BlobWriter::new(&spool);
            let reader = BufReader::new(bytes.reader());
            let most = limits.max_pixels;
            let inside = caption::frame(reader, encoding, &caption, density, most, &mut out)?;
            let bytes = out.finish();
            let sha256 = bytes.digest().map_err(FrameError::Read)?;
            Ok::<_, FrameError>(Framed::Made { bytes, sha256, of: name, inside })
        });
        let why = match work.await {
            Ok(Ok(framed)) => return framed,
            Ok(Err(error)) => chain(&error),
            // A decoder that does not cope with what a service sent.
            Err(_) => "the picture brought what frames it to a stop".to_owned(),
        };
        tracing::warn!(capture = attempt.name, why, "a picture is kept without its framed copy");
        Framed::LeftOut(why)
    }
}

/// The picture among what was taken.
fn picture_of(attempt: &Attempt, taken: &CaptureResult) -> Option<SourceImage> {
    let product = &attempt.request.settings.product;
    let (name, media_type, bytes) = match product {
        Product::Picture(_) => (product.file_name(), product.media_type(), taken.product.clone()),
        _ => {
            let mut pictures = taken.companions.iter();
            let picture = pictures.find(|one| one.name.starts_with("screenshot."))?;
            (picture.name.clone(), picture.media_type, picture.bytes.clone().into())
        }
    };
    let encoding = match media_type {
        "image/jpeg" => Encoding::Jpeg,
        "image/webp" => Encoding::Webp,
        _ => Encoding::Png,
    };
    Some(SourceImage { name, encoding, bytes })
}

/// What the caption says, but for the digest.
fn caption_of(attempt: &Attempt, taken: &CaptureResult, at: Moment) -> Caption {
    let spec = &attempt.work.run.opening.spec;
    let mut caption = addresses(Caption::new(TITLE), attempt, taken);
    caption = caption.field("Time", time(at));
    if taken.by == BackendName::Hosted {
        caption = caption.field("Taken by", service(taken));
    } else if attempt.chosen.by != taken.by {
        let words = Words::default().plain("the local browser, in place of the service asked for");
        caption = caption.field("Taken by", words);
    }
    caption = caption
        .field("Agent", declared(spec.agent.as_deref()))
        .field("Principal", declared(spec.principal.as_deref()))
        .field("Workflow", Words::default().quoted(&spec.workflow, DECLARED))
        .field("Run", Words::default().plain(&attempt.work.run.id.to_string()))
        .field("Capture", place(attempt))
        .field("View", view(attempt));
    match covered(taken.facts.as_ref()) {
        0 => caption,
        1 => caption.field("Covered", Words::default().plain("1 element, by the operator's rules")),
        count => {
            let words = format!("{count} elements, by the operator's rules");
            caption.field("Covered", Words::default().plain(&words))
        }
    }
}

/// Whose the page is and where it was found: by the word of the browser; of a page that was not seen
/// here only what was asked for.
fn addresses(caption: Caption, attempt: &Attempt, taken: &CaptureResult) -> Caption {
    let asked = match &attempt.request.settings.page.target {
        Target::Url(url) => Some(presentable(url)),
        Target::Html(_) | Target::Markdown(_) | Target::Current => None,
    };
    let found = taken.facts.as_ref().and_then(|facts| facts.final_url.clone());
    match (&found, &asked) {
        (Some(found), _) => {
            let address = Address::of(found);
            let caption = caption.field("Host", address.host()).field("URL", address.whole());
            match asked.filter(|asked| asked != found) {
                Some(asked) => caption.field("Asked for", Address::of(&asked).whole()),
                None => caption,
            }
        }
        (None, Some(asked)) => {
            let address = Address::of(asked);
            let host = address.host().plain("; only asked for, not seen");
            caption.field("Host", host).field("Asked for", address.whole())
        }
        (None, None) => {
            let written = attempt.request.settings.page.target.is_written();
            let why = if written { "what is shown was handed over" } else { "none was told" };
            caption.field("Host", Words::default().marked(" none ").plain(": ").plain(why))
        }
    }
}

/// When, and how good the clock was.
fn time(at: Moment) -> Words {
    let time = at.to_rfc3339().replace('T', " ").replace('Z', " UTC");
    let words = Words::default().plain(&time);
    match at.state {
        Some(TimeQuality { synchronised: true, max_error_us }) => {
            // Rounded up: it is a bound.
            let tenths = max_error_us.div_ceil(100);
            let (millis, rest) = (tenths / 10, tenths % 10);
            words.plain(&format!(", clock synchronised, at most {millis}.{rest} ms off"))
        }
        Some(TimeQuality { synchronised: false, .. }) => {
            words.plain(", ").marked(" clock not synchronised ").plain(", its error is not known")
        }
        None => words.plain(", ").marked(" nothing is known of the clock "),
    }
}

/// That a service's word is all there is.
fn service(taken: &CaptureResult) -> Words {
    let name = taken.browser["base_url"].as_str().unwrap_or_default();
    Words::default()
        .marked(" a hosted service ")
        .plain(" (")
        .quoted(name, DECLARED)
        .plain("): what the picture shows, of which address and when, is that service's word alone")
}

/// What the caller said when it opened the run.
fn declared(text: Option<&str>) -> Words {
    match text {
        Some(text) => Words::default().quoted(text, DECLARED).plain(", by its caller's word"),
        None => Words::default().plain("not declared"),
    }
}

/// Where in its run the capture stands.
fn place(attempt: &Attempt) -> Words {
    let number = attempt.name.split('-').next().unwrap_or_default();
    let words = Words::default().plain(&format!("{number}, stage "));
    words.quoted(&attempt.stage.to_string(), DECLARED)
}

/// Whether the page is as its server made it for everybody.
fn view(attempt: &Attempt) -> Words {
    let altered = attempt.request.settings.altered_by();
    if altered.is_empty() {
        return Words::default().plain("plain: nothing was changed or pretended");
    }
    let altered: Vec<&str> = altered.into_iter().map(alteration).collect();
    Words::default().marked(" ALTERED ").plain(&format!(": {}", altered.join("; ")))
}

fn covered(facts: Option<&PageFacts>) -> u64 {
    facts.map_or(0, |facts| facts.masked.iter().map(|masked| masked.count).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn the_time_is_told_with_how_good_the_clock_was() {
        let clock = Clock::fixed("2026-11-24T08:15:46.1204Z".parse().expect("a timestamp"));
        let told = |state| time(Moment { state, ..clock.now() }).text();
        let quality = |synchronised, max_error_us| Some(TimeQuality { synchronised, max_error_us });
        for (state, words) in [
            (quality(true, 13_250), "clock synchronised, at most 13.3 ms off"),
            (quality(true, 0), "clock synchronised, at most 0.0 ms off"),
            (quality(false, 16_000_000), " clock not synchronised , its error is not known"),
            (None, " nothing is known of the clock "),
        ] {
            assert_eq!(told(state), format!("2026-11-24 08:15:46.120 UTC, {words}"));
        }
    }
}
