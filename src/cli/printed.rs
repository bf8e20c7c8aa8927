//! Owns `exhibit report --pdf`: the report printed by a browser of this command's own, in parts that
//! are small enough for whoever takes only so much.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backend::chromium::Chromium;
use crate::backend::{Backend as _, CaptureRequest};
use crate::config::Config;
use crate::daemon::preflight;
use crate::error::{Code, Problem};
use crate::masks::Masks;
use crate::policy::Policy;
use crate::request::read_pdf;
use crate::settings::Target;
use crate::tasks::Tasks;

/// How long one printing may take.
const LIMIT: Duration = Duration::from_secs(300);
/// Most pictures the browser is asked for: none, only a document.
const NO_PICTURE: u64 = 1;

/// Prints one document, as a whole or some pages of it.
struct Press {
    browser: Chromium,
    html: String,
    policy: Policy,
    spool: tempfile::TempDir,
}

/// `html` as documents of at most `most` bytes each.
///
/// # Errors
/// `browser_unavailable`, or what kept it from being printed; `invalid_field` when a single page is
/// larger than that.
pub(super) async fn print(
    config: &Config,
    html: String,
    most: u64,
) -> Result<Vec<Vec<u8>>, Problem> {
    let instead = "run this command as another user";
    if let Some(obstacle) = preflight::sandbox(&config.browser, instead) {
        let message = format!("{}; {}", obstacle.found, obstacle.remedy);
        return Err(Problem::new(Code::BrowserUnavailable, message).field(obstacle.key));
    }
    let spool = tempfile::tempdir().map_err(|error| Problem::internal("making a folder", error))?;
    let mut settings = config.browser.clone();
    // Never the folder of a daemon that runs.
    settings.runtime = spool.path().join("browser");
    settings.prepared = 1;
    let policy = Policy::new(&config.policy, Masks::default(), None);
    let policy = policy.map_err(|error| Problem::internal("reading the policy", error))?;
    let tasks = Tasks::new();
    let browser = Chromium::start(&settings, LIMIT, &tasks)?;
    let press = Press { browser, html, policy, spool };
    let parts = press.parts(most).await;
    press.browser.stop().await;
    tasks.stop();
    parts
}

impl Press {
    async fn parts(&self, most: u64) -> Result<Vec<Vec<u8>>, Problem> {
        self.browser.started().await?;
        let whole = self.pages(None).await?;
        if whole.len() as u64 <= most {
            return Ok(vec![whole]);
        }
        // A little smaller than allowed, because fonts are in each part.
        let wanted = whole.len() as u64 / (most * 4 / 5).max(1) + 1;
        let last = page_count(&whole);
        drop(whole);
        let share = u32::try_from(u64::from(last).div_ceil(wanted)).unwrap_or(last).max(1);
        let mut ranges: Vec<(u32, u32)> = (1..=last)
            .step_by(share as usize)
            .map(|first| (first, (first + share - 1).min(last)))
            .collect();
        ranges.reverse();
        let mut parts = Vec::new();
        while let Some((first, last)) = ranges.pop() {
            let part = self.pages(Some((first, last))).await?;
            if part.len() as u64 <= most {
                parts.push(part);
            } else if first < last {
                let middle = first.midpoint(last);
                ranges.extend([(middle + 1, last), (first, middle)]);
            } else {
                let size = part.len();
                let message = format!("page {first} alone has {size} bytes; allow larger parts");
                return Err(Problem::new(Code::InvalidField, message).field("part"));
            }
        }
        Ok(parts)
    }

    /// The pages from the first to the last named, or all.
    async fn pages(&self, range: Option<(u32, u32)>) -> Result<Vec<u8>, Problem> {
        let mut body =
            json!({ "html": "<p>", "format": "A4", "waitUntil": "load", "tagged": true });
        if let Some((first, last)) = range {
            body["pageRanges"] = json!(format!("{first}-{last}"));
        }
        let mut settings = read_pdf(body)?.settings;
        settings.page.target = Target::Html(self.html.clone());
        settings.page.navigation_timeout = LIMIT;
        let request = CaptureRequest {
            gone: CancellationToken::new(),
            sent: None,
            settings,
            snapshot: false,
            documents: false,
            metadata: false,
            max_pixels: NO_PICTURE,
            spool: self.spool.path().to_owned(),
            deadline: Instant::now() + LIMIT,
            policy: self.policy.clone(),
        };
        let taken = self.browser.take(request).await.map_err(|failed| failed.problem)?;
        let bytes = taken.product.bytes();
        Ok(bytes.map_err(|error| Problem::internal("reading the document", error))?.into_owned())
    }
}

/// How many pages the document has that the browser printed.
fn page_count(pdf: &[u8]) -> u32 {
    const PAGE: &[u8] = b"/Type /Page\n";
    let pages = pdf.windows(PAGE.len()).filter(|window| *window == PAGE).count();
    u32::try_from(pages).unwrap_or(u32::MAX).max(1)
}
