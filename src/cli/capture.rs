//! `exhibit shot` and `exhibit pdf`: a capture, alone or as part of a run.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::runs::in_store;
use super::{Common, DONE, check_free, kept_in, out, save};
use crate::error::Problem;
use crate::id::RunId;

/// What every capture understands.
#[derive(Debug, clap::Args)]
struct Of {
    /// Address of the page, http or https
    page: String,
    /// Where to put what was taken; `-` is standard output [default: only the evidence is kept]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run it belongs to [default: one of its own, sealed at once]
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Where in the run it belongs: before, during, after, or a name
    #[arg(long)]
    stage: Option<String>,
    /// load, domcontentloaded, networkidle0 or networkidle2
    #[arg(long, value_name = "EVENT")]
    wait_until: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Pdf {
    #[command(flatten)]
    of: Of,
    /// Letter, Legal, Tabloid, A0 to A6
    #[arg(long, default_value = "A4")]
    format: String,
    /// The sheet lies on its side
    #[arg(long)]
    landscape: bool,
    /// Distance from all edges: 10mm, 1in
    #[arg(long, value_name = "LENGTH")]
    margin: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Shot {
    #[command(flatten)]
    of: Of,
    /// The whole page
    #[arg(long)]
    full_page: bool,
    /// With --full-page: an area that scrolls by itself is shown in full height
    #[arg(long, requires = "full_page")]
    expand_scrollers: bool,
    /// Only the first element this CSS selector matches
    #[arg(long, value_name = "CSS")]
    selector: Option<String>,
    /// Width of the window in CSS pixels
    #[arg(long, value_name = "PIXELS")]
    width: Option<u32>,
    /// Height of the window in CSS pixels
    #[arg(long, value_name = "PIXELS")]
    height: Option<u32>,
    /// png, jpeg or webp
    #[arg(long, default_value = "png")]
    format: String,
}

pub(super) async fn shot(common: &Common, shot: Shot) -> Result<u8, Problem> {
    let fields = json!({
        "fullPage": shot.full_page,
        "expandScrollers": shot.expand_scrollers,
        "selector": shot.selector,
        "width": shot.width,
        "height": shot.height,
        "format": shot.format,
    });
    capture(common, "screenshot", shot.of, fields).await
}

pub(super) async fn pdf(common: &Common, pdf: Pdf) -> Result<u8, Problem> {
    let fields = json!({ "format": pdf.format, "landscape": pdf.landscape, "margin": pdf.margin });
    capture(common, "pdf", pdf.of, fields).await
}

async fn capture(common: &Common, kind: &str, of: Of, mut body: Value) -> Result<u8, Problem> {
    body["url"] = json!(of.page);
    body["waitUntil"] = json!(of.wait_until);
    if let Some(path) = of.out.as_deref().filter(|path| path.as_os_str() != "-") {
        check_free(path)?;
    }
    let client = common.client()?;
    let mut steps = out::Steps::new();
    steps.begin(&format!("capturing {}", of.page));
    let taken = client.capture(kind, of.run, of.stage.as_deref(), body).await;
    drop(steps);
    let taken = taken?;
    let error_page = taken.status.filter(|status| *status >= 400);
    if let Some(status) = error_page {
        out::note(format!("HTTP {status}: this is a picture of an error page"));
    }
    match &of.out {
        Some(path) if path.as_os_str() == "-" => {
            out::bytes(&taken.bytes);
            return DONE;
        }
        Some(path) => save(path, &taken.bytes).map_err(|it| kept_in(it, &taken.evidence))?,
        None => {}
    }
    if common.json {
        out::json(&taken.evidence);
        return DONE;
    }
    let text = |name: &str| taken.evidence[name].as_str().unwrap_or_default().to_owned();
    out::line(format!("run      {}", text("run")));
    out::line(format!("capture  {}", text("capture")));
    out::line(format!("sha256   {}", text("sha256")));
    if let Some(status) = taken.status {
        let what = if error_page.is_some() { ": an error page" } else { "" };
        out::line(format!("page     HTTP {status}{what}"));
    }
    if let Some(folder) = taken.evidence["receipt"]["folder"].as_str() {
        out::line(format!("sealed   {}", in_store(common, folder)));
    }
    if let Some(path) = &of.out {
        out::line(format!("saved    {}", path.display()));
    }
    DONE
}
