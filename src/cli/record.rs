//! `exhibit record`: a recording of a page, or of steps in it.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::runs::in_store;
use super::{Common, DONE, check_free, in_file, kept_in, out, save};
use crate::disk;
use crate::error::{Code, Problem};
use crate::id::RunId;
use crate::request::read_json;

/// Longest pause in one step.
const PAUSE: Duration = Duration::from_secs(10);
/// Largest file of steps.
const STEPS: u64 = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Record {
    /// Address of the page, http or https
    page: String,
    /// JSON file with the steps to be taken there, as in the API's `/video`
    #[arg(long, value_name = "FILE", conflicts_with = "time")]
    steps: Option<PathBuf>,
    /// How long the page is recorded when no steps are given: 10s, 2m
    #[arg(long = "for", value_name = "TIME", default_value = "5s", value_parser = time)]
    time: Duration,
    /// Where to put the recording [default: only the evidence is kept]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run it belongs to [default: one of its own, sealed at once]
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Where in the run it belongs: before, during, after, or a name
    #[arg(long)]
    stage: Option<String>,
    /// What is saved: mp4, or what ffmpeg makes of it where the daemon may use it
    #[arg(long, value_parser = ["mp4", "webm", "gif"], default_value = "mp4")]
    format: String,
    /// Most pictures a second
    #[arg(long, value_name = "RATE", default_value_t = 25)]
    framerate: u32,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<jiff::SignedDuration>().ok();
    let time = time.and_then(|time| Duration::try_from(time).ok());
    time.filter(|time| *time >= Duration::from_millis(100) && *time <= PAUSE * 45)
        .ok_or_else(|| "give 100ms to 450s, like 10s or 2m".to_owned())
}

pub(super) async fn record(common: &Common, record: Record) -> Result<u8, Problem> {
    let mut steps = vec![json!({ "action": "navigate", "url": record.page })];
    match &record.steps {
        Some(path) => steps.extend(steps_in(path)?),
        None => {
            let mut left = record.time;
            while !left.is_zero() {
                let part = left.min(PAUSE);
                steps.push(json!({ "action": "wait", "ms": part.as_millis() }));
                left -= part;
            }
        }
    }
    if let Some(path) = &record.out {
        check_free(path)?;
    }
    let client = common.client()?;
    let mut telling = out::Steps::new();
    let what = match &record.steps {
        Some(_) => format!("{} steps", steps.len()),
        None => format!("{:#}", jiff::SignedDuration::try_from(record.time).unwrap_or_default()),
    };
    telling.begin(&format!("recording {}: {what}", record.page));
    let body = json!({
        "steps": steps, "framerate": record.framerate, "format": record.format,
        "stage": record.stage, "response_type": "json",
    });
    let answer = client.call("/video", record.run, body).await;
    drop(telling);
    let mut answer = answer?;
    let data = answer["data"].take();
    if let Some(path) = &record.out {
        let bytes = STANDARD.decode(data.as_str().unwrap_or_default());
        let bytes = bytes.map_err(|error| Problem::internal("reading the recording", error))?;
        save(path, &bytes).map_err(|it| kept_in(it, &answer["evidence"]))?;
    }
    if common.json {
        out::json(&answer);
        return DONE;
    }
    let evidence = &answer["evidence"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    out::line(format!("run        {}", text(&evidence["run"])));
    out::line(format!("recording  {}", text(&evidence["recording"])));
    out::line(format!("steps      {} of {}", answer["steps_completed"], answer["total_steps"]));
    out::line(format!(
        "plays      {} ms, {} pictures, {} bytes",
        answer["duration_ms"], answer["frames"], answer["size_bytes"]
    ));
    if let Some(folder) = evidence["receipt"]["folder"].as_str() {
        out::line(format!("sealed     {}", in_store(common, folder)));
    }
    if let Some(path) = &record.out {
        out::line(format!("saved      {}", path.display()));
    }
    DONE
}

/// The steps in a file: a list, or an object with a list `steps`.
fn steps_in(path: &std::path::Path) -> Result<Vec<Value>, Problem> {
    let bytes = disk::read_limited(path, STEPS).map_err(|error| in_file(path, error))?;
    let mut read = read_json(&bytes).map_err(|problem| {
        let message = format!("{}: {}", path.display(), problem.message);
        Problem::new(problem.code, message).field("steps")
    })?;
    let steps = if read.is_object() { read["steps"].take() } else { read };
    match steps {
        Value::Array(steps) => Ok(steps),
        _ => {
            let message = format!("{} holds no list of steps; write one", path.display());
            Err(Problem::new(Code::InvalidField, message).field("steps"))
        }
    }
}
