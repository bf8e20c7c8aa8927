//! Owns the page: everything the templates fill in, gathered from one folder, and the policy that
//! keeps whatever slipped through from running or asking for anything.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Options;
use super::embed::{Embedded, Room};
use super::facts::Panel;
use super::guide::{Part, Piece, parts};
use super::media::{self, Capture, Difference, Recording};
use super::pair::{Pair, pairs};
use super::record::record;
use super::required::Completeness;
use super::source::{ReportError, Source};
use super::story::{EventFiles, Group, Story};
use super::text::{between, count, size, text};
use super::verdict::{Checked, Known, Verdict};
use crate::digest::Digest;
use crate::evidence::{EVENTS, GUIDE, RECORD, is_safe_path};
use crate::qr::Qr;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::Note;

const STYLE: &str = concat!(include_str!("palette.css"), include_str!("report.css"));
const SCRIPT: &str = include_str!("report.js");
/// Most lines of the manifest that are shown; all of it is carried.
const MAX_LISTED: usize = 2_000;

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
    let (script, style) = (hash(SCRIPT), hash(STYLE));
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; \
         img-src data:; media-src data: 'self'; base-uri 'none'; form-action 'none'; \
         connect-src 'none'"
    )
});

/// The `Content-Security-Policy` of a report: only its own script and style, and what it carries.
pub fn content_security_policy() -> &'static str {
    &POLICY
}

/// A file that the caller added.
#[derive(Debug)]
struct Attachment {
    path: String,
    size: String,
    media_type: String,
    sha256: String,
    wrong: &'static str,
}

/// The report.
#[derive(Debug, Template)]
#[template(path = "report.html")]
pub(super) struct ReportPage {
    policy: &'static str,
    style: &'static str,
    script: &'static str,
    version: &'static str,
    base: String,
    run: String,
    title: String,
    sealed: bool,
    verdict: Verdict,
    numbers: Vec<(String, &'static str)>,
    completeness: Option<Completeness>,
    problems: Vec<String>,
    panels: Vec<Panel>,
    pairs: Vec<Pair>,
    /// Pairs that are not shown.
    unpaired: usize,
    differences: Vec<Difference>,
    recordings: Vec<Recording>,
    groups: Vec<Group>,
    /// Whether there are steps, which the data counts from 0.
    has_steps: bool,
    untold: u64,
    unlogged: String,
    /// What is said of files that no event tells of.
    unnamed: String,
    captures: Vec<Capture>,
    anchors: HashMap<String, String>,
    code: Vec<Panel>,
    attachments: Vec<Attachment>,
    carried: String,
    carried_files: Vec<(&'static str, Embedded)>,
    manifest: Option<Embedded>,
    listed: Vec<(String, Digest)>,
    listed_count: String,
    unlisted: u64,
    checked: Option<Checked>,
    kept: Option<Kept>,
    guide: Vec<Part>,
}

/// A checkpoint of the log, as text and for a camera.
#[derive(Debug)]
struct Kept {
    entries: String,
    note: String,
    side: i32,
    path: String,
}

impl Kept {
    fn of(note: &Note) -> Option<Self> {
        let size = Checkpoint::parse(&note.text).ok()?.size;
        let note = note.to_string();
        let code = Qr::of(&note)?;
        let entries = if size == 1 { "1 entry".to_owned() } else { format!("{size} entries") };
        Some(Self { entries, side: code.side(), path: code.path(), note })
    }
}

impl ReportPage {
    /// Gather what the folder at `folder` holds.
    pub(super) fn read(folder: &Path, options: &Options) -> Result<Self, ReportError> {
        let mut source = Source::open_checked(folder, options.checked.as_ref())?;
        if options.fresh {
            source.take_as_fresh();
        }
        let story = Story::read(&mut source);
        let record = record(&mut source, &story);
        let mut room = Room::new();
        let (pairs, unpaired) = pairs(&mut source, &mut room, &story);
        let differences = media::differences(&mut source, &mut room, &story);
        let captures = media::captures(&mut source, &mut room, &story, &pairs);
        let recordings = media::recordings(&mut source, &mut room, &story);
        let mut carried_files = Vec::new();
        for name in [RECORD, EVENTS] {
            let file = room.text_file(&mut source, name, "text/plain");
            carried_files.extend(file.map(|file| (name, file)));
        }
        let mut completeness = Completeness::of(&record, &story);
        if let Some(completeness) = &mut completeness {
            completeness.check(&mut source);
        }
        let attachments: Vec<_> =
            story.attachments.iter().filter_map(|told| attachment(&mut source, told)).collect();
        let panels = record.panels(&story);
        let all = source.listed().map_or(0, std::collections::BTreeMap::len) as u64;
        let listed = source.listed().into_iter().flatten().take(MAX_LISTED);
        let listed: Vec<_> = listed.map(|(name, digest)| (name.clone(), *digest)).collect();
        let is_listed = source.is_listed();
        let (manifest, problems) = source.close();
        let manifest = if is_listed { room.text(manifest) } else { None };
        let checked = options.checked.as_ref();
        let integrity = options.integrity.as_ref();
        let seen = problems.len();
        let known = Known { problems: seen, checked, integrity };
        let sealed = record.ended && is_listed;
        let mut page = Self {
            policy: content_security_policy(),
            style: STYLE,
            script: SCRIPT,
            version: env!("CARGO_PKG_VERSION"),
            base: options.base.clone(),
            run: record.get("run"),
            title: record.title(),
            sealed,
            verdict: Verdict::of(&record, completeness.as_ref(), known)
                .with_error_pages(story.error_pages()),
            numbers: numbers(&story, &recordings),
            completeness,
            problems,
            panels,
            pairs,
            unpaired,
            differences,
            recordings,
            untold: story.untold,
            unlogged: story.unlogged_notice(),
            unnamed: story.unnamed_notice(),
            anchors: anchors(&story),
            code: record.code(&story),
            attachments,
            has_steps: story.rows.iter().any(|row| row.kind.starts_with("step.")),
            groups: Story::groups(story.rows),
            captures,
            carried: String::new(),
            carried_files,
            manifest,
            unlisted: all - listed.len() as u64,
            listed_count: count(all, "file"),
            listed,
            checked: checked.map(|report| Checked::of(report, seen)),
            kept: options.checkpoint.as_ref().and_then(Kept::of),
            guide: parts(&GUIDE.replace("{run}", &record.get("run"))),
        };
        page.carried = page.count_carried(room.left_out);
        Ok(page)
    }

    /// How many things were not as they should be.
    pub(super) fn problems(&self) -> usize {
        self.problems.len()
    }

    /// What the report carries, and what it had no room for.
    fn count_carried(&self, left_out: u64) -> String {
        let whole = |picture: &super::embed::EmbeddedPicture| picture.whole.is_some();
        let pairs = self.pairs.iter().flat_map(|pair| [&pair.before.picture, &pair.after.picture]);
        let captures = self.captures.iter().filter_map(|capture| capture.picture.as_ref());
        let differences = self.differences.iter().filter_map(|one| one.picture.as_ref());
        let pictures = pairs.chain(captures).chain(differences).filter(|one| whole(one)).count();
        let films = self.recordings.iter().map(|recording| {
            [&recording.video, &recording.captions, &recording.poster].into_iter().flatten().count()
        });
        let carried = pictures + films.sum::<usize>() + self.carried_files.len();
        let mut text = count(carried as u64, "file");
        if left_out > 0 {
            let more = format!(" ({} had no room and lie beside it)", count(left_out, "file"));
            text.push_str(&more);
        }
        text
    }

    /// Where the page shows the file `path`, if it does.
    fn anchor(&self, path: &str) -> Option<&str> {
        let below = path.strip_prefix("data/").unwrap_or(path);
        let mut parts = below.split('/');
        match (parts.next()?, parts.next()?) {
            ("captures", name) => self.anchors.get(name).map(String::as_str),
            ("recordings", _) if !self.recordings.is_empty() => Some("recordings"),
            ("comparisons", _) if !self.differences.is_empty() => Some("before-after"),
            ("attachments", _) if !self.attachments.is_empty() => Some("attachments"),
            _ => None,
        }
    }

    /// Write the page.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        self.write_into(out)
    }
}

fn anchors(story: &Story) -> HashMap<String, String> {
    let anchor = |told: &EventFiles| (told.get("capture"), told.anchor());
    story.captures.iter().filter(|told| told.shown).map(anchor).collect()
}

fn numbers(story: &Story, recordings: &[Recording]) -> Vec<(String, &'static str)> {
    let one = |number: u64, one: &'static str, more: &'static str| {
        (number.to_string(), if number == 1 { one } else { more })
    };
    let mut numbers = vec![
        one(story.events, "event", "events"),
        one(story.captures.len() as u64, "capture", "captures"),
        one(recordings.len() as u64, "recording", "recordings"),
        one(story.errors, "failure", "failures"),
    ];
    if let Some((first, last)) = &story.times {
        let lasted = between(first, last);
        if !lasted.is_empty() {
            numbers.push((lasted, "from first to last event"));
        }
    }
    numbers
}

fn attachment(source: &mut Source, told: &EventFiles) -> Option<Attachment> {
    let file = told.files.first().filter(|file| is_safe_path(&file.path))?;
    Some(Attachment {
        path: file.path.clone(),
        size: size(file.size_bytes),
        media_type: text(&file.media_type),
        sha256: file.sha256.to_string(),
        wrong: source.whole(&file.path).mark(),
    })
}

/// A page in the report's place, that says why there is none.
#[derive(Debug, Template)]
#[template(
    ext = "html",
    source = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">\
    <title>No report</title><h1>There is no report of this run</h1><p>{{ why }}</p>\
    <p>The evidence in this folder does not depend on it: VERIFY.txt says how to check it.</p></html>\n"
)]
pub(super) struct Excuse {
    why: String,
}

impl Excuse {
    pub(super) fn new(why: &str) -> Self {
        Self { why: text(why) }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        self.write_into(out)
    }
}
