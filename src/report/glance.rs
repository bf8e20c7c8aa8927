//! Owns a look at a folder, sealed or still growing: what became of it, what is missing, its last
//! events, its captures and its files, as plain values for whoever shows them. Like the report it
//! trusts nothing in the folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::embed::picture_type;
use super::facts::{Panel, Record};
use super::record::record;
use super::required::Completeness;
use super::source::{ReportError, Source};
use super::story::{EventFiles, Story};
use super::text::{moment, size};
use super::thumbnail::Thumbnails;
use super::verdict::{Known, Verdict};
use crate::digest::Digest;
use crate::evidence::{Integrity, is_safe_path};

/// Most events that are shown: the last ones.
const LAST_EVENTS: usize = 30;
/// Most captures and recordings that are shown: the last ones.
const LAST_CAPTURES: usize = 24;
/// Most files that are listed.
const MAX_FILES: usize = 5_000;

/// What a folder holds.
#[derive(Debug)]
pub struct Glance {
    /// Workflow and subject.
    pub title: String,
    /// What became of it, in a word.
    pub word: &'static str,
    /// The same in a sentence.
    pub because: String,
    /// What was found before and is as it was again; empty when there is nothing.
    pub before: String,
    /// That captures show error pages; empty when none does.
    pub error_pages: String,
    /// How that is to be seen: `good`, `warn`, `bad` or `plain`.
    pub tone: &'static str,
    /// Facts with their heading: who, what, when, where, and the code that was named.
    pub facts: Vec<(String, Vec<GlanceFact>)>,
    /// What is required; none where no policy applied.
    pub required: Option<Vec<Required>>,
    /// How many events there are.
    pub events: u64,
    /// How many of them tell of something that failed or was refused.
    pub failures: u64,
    /// How many captures were taken.
    pub captures: usize,
    /// How many recordings ended.
    pub recordings: usize,
    /// The last events, newest first.
    pub last_events: Vec<Happened>,
    /// The last captures and recordings, in the order in which they were taken.
    pub last_captures: Vec<GlanceCapture>,
    /// The files there are, in order of their paths.
    pub files: Vec<Listed>,
    /// Whether there are more files than are listed.
    pub more_files: bool,
}

/// A fact.
#[derive(Debug)]
pub struct GlanceFact {
    /// What it is.
    pub label: String,
    /// The fact.
    pub value: String,
    /// Whether it is the caller's own word.
    pub declared: bool,
}

/// Something the workflow asks for.
#[derive(Debug)]
pub struct Required {
    /// What.
    pub what: String,
    /// Whether it is there.
    pub met: bool,
    /// Whether what shows it is not what was recorded.
    pub altered: bool,
    /// What is missing.
    pub reason: String,
    /// Whether nothing that is done while the run is open can add it.
    pub never: bool,
    /// Whose word it rests on; empty where Exhibit established it.
    pub word: &'static str,
    /// The statuses of the error pages among what shows it.
    pub error_pages: String,
}

/// An event.
#[derive(Debug)]
pub struct Happened {
    /// Its place in the chain.
    pub number: u64,
    /// Time of day, UTC.
    pub time: String,
    /// Whether the agent says so.
    pub by_agent: bool,
    /// Its kind.
    pub kind: String,
    /// What it tells.
    pub sentence: String,
    /// The address it speaks of, to be shown as text.
    pub url: String,
    /// Whether something failed or was refused.
    pub bad: bool,
}

/// A capture or a recording.
#[derive(Debug)]
pub struct GlanceCapture {
    /// Its name.
    pub name: String,
    /// Its stage.
    pub stage: String,
    /// Title of the page.
    pub title: String,
    /// Address of the page, to be shown as text.
    pub url: String,
    /// Time of day, UTC.
    pub time: String,
    /// What altered the view, if anything did.
    pub altered: String,
    /// The status of an error page; empty of any other.
    pub error_page: String,
    /// Path of its picture, when it has one that browsers show.
    pub picture: Option<String>,
    /// What is wrong with its files; empty when nothing is, or none was read.
    pub wrong: &'static str,
}

/// A file.
#[derive(Debug)]
pub struct Listed {
    /// Its path in the folder.
    pub path: String,
    /// Its size, in words.
    pub size: String,
    /// Its SHA-256 by the word of the manifest.
    pub sha256: Option<Digest>,
}

impl Glance {
    /// Look at the folder `root`. A run that is open comes with the judgement so far, which is null
    /// where no policy applies. `integrity` is what the daemon found of it.
    ///
    /// # Errors
    /// [`ReportError`] when it is no evidence.
    pub fn of(
        root: &Path,
        completeness: Option<Value>,
        integrity: Option<&Integrity>,
    ) -> Result<Self, ReportError> {
        super::guarded(|| Self::read(root, completeness, integrity))
    }

    fn read(
        root: &Path,
        completeness: Option<Value>,
        integrity: Option<&Integrity>,
    ) -> Result<Self, ReportError> {
        let mut source = Source::open(root)?;
        let story = Story::read(&mut source);
        let mut record = record(&mut source, &story);
        let open = completeness.is_some();
        if let Some(completeness) = completeness {
            // Being sealed, it may have its record already.
            record.ended = false;
            record.fields.insert("completeness".to_owned(), completeness);
        }
        let mut required = Completeness::of(&record, &story);
        // Of a run that is known to be altered each file is read, to tell which.
        if integrity.is_some_and(Integrity::is_altered)
            && let Some(required) = &mut required
        {
            required.check(&mut source);
        }
        let listed = source.listed().cloned().unwrap_or_default();
        let (files, more_files) = files(&source, root, &listed);
        let things = story.captures.iter().chain(&story.recordings);
        let mut things: Vec<&EventFiles> = things.collect();
        things.sort_by_key(|told| told.line);
        let earlier = things.len().saturating_sub(LAST_CAPTURES);
        let altered = integrity.is_some_and(Integrity::is_altered);
        let last_captures = things.into_iter().skip(earlier).map(|told| {
            let files = told.files.iter().filter(|_| altered);
            let mut wrong = files.map(|file| source.whole(&file.path).mark());
            GlanceCapture {
                wrong: wrong.find(|mark| !mark.is_empty()).unwrap_or_default(),
                ..glance_capture(told)
            }
        });
        let last_captures = last_captures.collect();
        // The last line of a file that grows may be half written; that is no damage.
        let problems = if open { 0 } else { source.close().1.len() };
        let known = Known { problems, checked: None, integrity };
        let verdict =
            Verdict::of(&record, required.as_ref(), known).with_error_pages(story.error_pages());
        let code = record.code(&story).into_iter().map(|panel| Panel {
            title: format!("Code, {}", lower_first(&panel.title)).into(),
            ..panel
        });
        let panels = record.panels(&story).into_iter().chain(code);
        let facts = panels.map(|panel| {
            let facts = panel.facts.into_iter().map(|fact| GlanceFact {
                label: fact.label,
                value: fact.value,
                declared: fact.declared,
            });
            (panel.title.into_owned(), facts.collect())
        });
        let because = [verdict.because, story.unlogged_notice()].join(" ").trim_end().to_owned();
        Ok(Self {
            title: record.title(),
            word: verdict.word,
            because,
            before: verdict.before,
            error_pages: verdict.error_pages,
            tone: verdict.tone,
            facts: facts.collect(),
            required: required.map(|told| told.requirements.into_iter().map(required_of).collect()),
            events: story.events,
            failures: story.errors,
            captures: story.captures.len(),
            recordings: story.recordings.len(),
            last_events: last_events(&story),
            last_captures,
            files,
            more_files,
        })
    }
}

fn lower_first(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_lowercase() + rest
}

fn required_of(told: super::required::Requirement) -> Required {
    let error_pages = told.error_pages();
    let super::required::Requirement { what, met, altered, reason, never, word, .. } = told;
    Required { what, met, altered, reason, never, word, error_pages }
}

fn last_events(story: &Story) -> Vec<Happened> {
    let happened = |row: &super::story::Row| Happened {
        number: row.line,
        time: row.time.clone(),
        by_agent: row.by_agent,
        kind: row.kind.clone(),
        sentence: row.summary.sentence.clone(),
        url: row.summary.url.clone(),
        bad: row.summary.bad,
    };
    story.rows.iter().rev().take(LAST_EVENTS).map(happened).collect()
}

fn glance_capture(told: &EventFiles) -> GlanceCapture {
    let picture = ["screenshot", "og-image", "framed"].iter().find_map(|name| told.file(name));
    let poster = || told.files.iter().find(|file| file.path.ends_with("-poster.png"));
    let picture = picture.or_else(poster).map(|file| file.path.clone());
    let named = |name: &str| told.get(name);
    let name = match named("capture") {
        name if name.is_empty() => format!("recording {}", named("recording")),
        name => name,
    };
    GlanceCapture {
        name,
        stage: named("stage"),
        title: named("title"),
        url: named("final_url"),
        time: moment(&told.time).1,
        altered: named("altered_by"),
        error_page: told.error_page().unwrap_or_default(),
        picture: picture.filter(|path| is_picture(path).is_some()),
        wrong: "",
    }
}

/// Every plain file below `root`, by paths that can be asked for, and whether that is not all.
fn files(source: &Source, root: &Path, listed: &BTreeMap<String, Digest>) -> (Vec<Listed>, bool) {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && is_safe_path(&path) && found.len() <= MAX_FILES {
                folders.push(path);
            } else if let Some((_, length)) = source.plain(&path) {
                let sha256 = listed.get(&path).copied();
                found.push(Listed { path, size: size(length), sha256 });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    let more = found.len() > MAX_FILES;
    found.truncate(MAX_FILES);
    (found, more)
}

/// Where the file `path` of the folder `root` lies, and its length; none when there is no such plain
/// file, or a link is on the way.
pub(crate) fn file_in(root: &Path, path: &str) -> Option<(PathBuf, u64)> {
    Source::open(root).ok()?.plain(path)
}

/// The media type of the picture called `path`, when it is one that browsers show and that cannot
/// hold a script.
pub(crate) fn is_picture(path: &str) -> Option<&'static str> {
    picture_type(path).filter(|_| is_safe_path(path))
}

/// A small PNG of the PNG at `path` in the folder `root`.
pub(crate) fn thumbnail_in(root: &Path, path: &str) -> Option<Vec<u8>> {
    let (path, _) = file_in(root, path).filter(|_| is_picture(path) == Some("image/png"))?;
    Thumbnails::default().of_png(std::io::BufReader::new(fs::File::open(path).ok()?))
}

/// What a run of `workflow` about `subject` is called, by whatever its caller declared.
pub(crate) fn title_of(workflow: &str, subject: Option<&str>) -> String {
    let mut fields = serde_json::Map::new();
    fields.insert("workflow".to_owned(), workflow.into());
    fields.insert("subject".to_owned(), subject.into());
    Record { fields, ended: false }.title()
}
