//! `exhibit shot`: a screenshot, alone or as part of a run.

use std::path::PathBuf;

use serde_json::json;

use super::{Common, DONE, in_file, out};
use crate::disk;
use crate::error::{Code, Problem};
use crate::id::RunId;

#[derive(Debug, clap::Args)]
pub(super) struct Shot {
    /// Address of the page, http or https
    page: String,
    /// Where to put the picture; `-` is standard output [default: only the evidence is kept]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run it belongs to [default: one of its own, sealed at once]
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Where in the run it belongs: before, during, after, or a name
    #[arg(long)]
    stage: Option<String>,
    /// The whole page
    #[arg(long)]
    full_page: bool,
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
    /// load, domcontentloaded, networkidle0 or networkidle2
    #[arg(long, value_name = "EVENT")]
    wait_until: Option<String>,
}

pub(super) async fn shot(common: &Common, shot: Shot) -> Result<u8, Problem> {
    let body = json!({
        "url": shot.page,
        "fullPage": shot.full_page,
        "selector": shot.selector,
        "width": shot.width,
        "height": shot.height,
        "format": shot.format,
        "waitUntil": shot.wait_until,
    });
    let client = common.client()?;
    let mut steps = out::Steps::new();
    steps.begin(&format!("capturing {}", shot.page));
    let picture = client.capture(shot.run, shot.stage.as_deref(), body).await;
    drop(steps);
    let picture = picture?;
    match &shot.out {
        Some(path) if path.as_os_str() == "-" => {
            out::bytes(&picture.bytes).map_err(|error| in_file(path, error))?;
            return DONE;
        }
        Some(path) => save(path, &picture.bytes)?,
        None => {}
    }
    if common.json {
        out::json(&picture.evidence);
        return DONE;
    }
    let text = |name: &str| picture.evidence[name].as_str().unwrap_or_default().to_owned();
    out::line(format!("run      {}", text("run")));
    out::line(format!("capture  {}", text("capture")));
    out::line(format!("sha256   {}", text("sha256")));
    if let Some(folder) = picture.evidence["receipt"]["folder"].as_str() {
        out::line(format!("sealed   {folder}"));
    }
    if let Some(path) = &shot.out {
        out::line(format!("saved    {}", path.display()));
    }
    DONE
}

fn save(path: &std::path::Path, bytes: &[u8]) -> Result<(), Problem> {
    match disk::write_once(path, bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let message = format!("{} exists already; give another name", path.display());
            Err(Problem::new(Code::NameTaken, message).field("out"))
        }
        saved => saved.map(drop).map_err(|error| in_file(path, error)),
    }
}
