//! Owns the run as assessment results of NIST's OSCAL 1.1: what was observed, which files show it
//! with their SHA-256, and whether what the workflow asks for is there. Ids follow from the folder,
//! so that the same folder gives the same document.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use super::changes::{Budget, Changes};
use super::facts::Record;
use super::pair::{Places, choose};
use super::record::record;
use super::required::{Completeness, Requirement, in_data};
use super::source::{ReportError, Source};
use super::story::{EventFiles, Story};
use super::text::{quoted, spoken, text};
use super::{Made, Options};
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::error::exit;
use crate::evidence::{CodeNamed, EVENTS, Integrity, RECORD, is_safe_path};
use crate::shown::{markdown, quoted_unless_plain, shown_within};

const VERSION: &str = "1.1.3";
/// Most findings of a verification that are told.
const MAX_FINDINGS: usize = 50;

/// The assessment results of the folder at `folder`.
pub(super) fn document(folder: &Path, options: &Options) -> Result<(Value, Made), ReportError> {
    let base = &options.base;
    let mut source = Source::open_checked(folder, options.checked.as_ref())?;
    let story = Story::read(&mut source);
    let record = record(&mut source, &story);
    let (began, ended) = record.times(&story);
    let is_time = |time: &String| time.parse::<jiff::Timestamp>().is_ok();
    let (Some(began), Some(ended)) = (
        Some(began).filter(is_time),
        Some(if ended.is_empty() { last_time(&story) } else { ended }).filter(is_time),
    ) else {
        let why = "the run has no time of opening, or none of its end, that can be read";
        return Err(ReportError::Broken(why.to_owned()));
    };
    let ids = Ids(record.get("run"));
    let files = files(&source, &story);
    let mut completeness = Completeness::of(&record, &story);
    if let Some(completeness) = &mut completeness {
        completeness.check(&mut source);
    }
    let mut observations =
        observations(&story, &record, completeness.as_ref(), &ids, &files, &ended);
    observations.extend(changed(&mut source, &story, &ids, &files, &ended));
    let mut result = json!({
        "uuid": ids.of("result"),
        "title": markdown(&record.title()),
        "description": "What an agent did in a web application, recorded by Exhibit.",
        "start": began,
        "end": ended,
        "reviewed-controls": { "control-selections": [selection(&record)] },
        "props": props(&record, completeness.as_ref(), options),
        "observations": observations,
    });
    if let Some(told) = &completeness {
        let findings: Vec<Value> =
            told.requirements.iter().enumerate().map(|one| finding(one, told, &ids)).collect();
        if !findings.is_empty() {
            result["findings"] = json!(findings);
        }
    }
    let resources: Vec<Value> =
        files.iter().map(|(path, file)| resource(path, file, base, &ids)).collect();
    let problems = source.close().1;
    let made = Made { problems: problems.len() };
    let remarks = remarks(problems, &story, options);
    let document = json!({ "assessment-results": {
        "uuid": ids.of("document"),
        "metadata": {
            "title": format!("Evidence of run {}", record.get("run")),
            "last-modified": result["end"],
            "version": "1",
            "oscal-version": VERSION,
            "remarks": remarks,
        },
        "import-ap": { "href": format!("#{}", ids.of(RECORD)) },
        "results": [result],
        "back-matter": { "resources": resources },
    }});
    Ok((document, made))
}

/// What is to be known of the folder: that it is damaged, and what the daemon found of it.
fn remarks(mut problems: Vec<String>, story: &Story, options: &Options) -> String {
    let checked = options.checked.as_ref().filter(|report| report.exit() == exit::ALTERED);
    let found = checked.into_iter().flat_map(|report| &report.findings).take(MAX_FINDINGS);
    problems.extend(found.map(|finding| format!("{finding}.")));
    let told = options.integrity.as_ref();
    problems.extend(told.filter(|told| told.is_altered()).map(Integrity::sentence));
    let mut remarks = if problems.is_empty() {
        "Files are referred to by path and SHA-256; docs/FORMAT.md of Exhibit says how to verify \
         the folder they lie in."
            .to_owned()
    } else {
        format!("THE FOLDER IS DAMAGED: {}", markdown(&problems.join(" ")))
    };
    if let Some(told) = told.filter(|told| !told.is_altered()) {
        remarks = format!("{remarks} {}", told.sentence());
    }
    if !story.unnamed_notice().is_empty() {
        remarks = format!("{remarks} {}", markdown(&story.unnamed_notice()));
    }
    if !story.unlogged.is_empty() {
        remarks = format!("{remarks} {}", story.unlogged_notice());
    }
    remarks
}

fn last_time(story: &Story) -> String {
    story.times.as_ref().map_or_else(String::new, |(_, last)| last.clone())
}

/// Ids that follow from the run and what they are for.
struct Ids(String);

impl Ids {
    fn of(&self, what: &str) -> Uuid {
        let digest = Digest::of(format!("exhibit oscal {} {what}", self.0).as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        // OSCAL takes no other name-based version than this.
        Builder::from_bytes(bytes)
            .with_variant(uuid::Variant::RFC4122)
            .with_version(uuid::Version::Sha1)
            .into_uuid()
    }
}

/// Every file with its digest: from the manifest, else as the events tell; media types from events.
fn files(source: &Source, story: &Story) -> BTreeMap<String, (Option<String>, Digest)> {
    let told = [&story.captures, &story.recordings, &story.comparisons, &story.attachments];
    let told = told.into_iter().flatten().flat_map(|told| &told.files);
    let told: BTreeMap<&str, &Artifact> =
        told.map(|artifact| (artifact.path.as_str(), artifact)).collect();
    let of = |path: &str, digest: Digest| {
        let media_type = told.get(path).map(|artifact| artifact.media_type.clone());
        (path.to_owned(), (media_type.filter(|text| is_media_type(text)), digest))
    };
    match source.listed() {
        Some(listed) => listed.iter().map(|(path, digest)| of(path, *digest)).collect(),
        None => told
            .values()
            .filter(|artifact| is_safe_path(&artifact.path))
            .map(|artifact| of(&artifact.path, artifact.sha256))
            .collect(),
    }
}

fn is_media_type(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/.+-_".contains(c);
    text.len() < 100 && text.matches('/').count() == 1 && text.chars().all(allowed)
}

fn resource(
    path: &str,
    (media_type, digest): &(Option<String>, Digest),
    base: &str,
    ids: &Ids,
) -> Value {
    let mut link = json!({
        "href": format!("{base}{path}"),
        "hashes": [{ "algorithm": "SHA-256", "value": digest }],
    });
    if let Some(media_type) = media_type {
        link["media-type"] = json!(media_type);
    }
    json!({ "uuid": ids.of(path), "title": markdown(path), "rlinks": [link] })
}

/// The controls that the run says it supports; OSCAL's ids have fewer letters than ours.
fn selection(record: &Record) -> Value {
    let controls = record.fields.get("controls").and_then(Value::as_array);
    let ids = controls.into_iter().flatten().filter_map(Value::as_str).take(200).map(token);
    let mut included: Vec<Value> = Vec::new();
    for id in ids {
        let control = json!({ "control-id": id });
        if !included.contains(&control) {
            included.push(control);
        }
    }
    if included.is_empty() {
        json!({ "include-all": {} })
    } else {
        json!({ "include-controls": included })
    }
}

/// `text` as a token: a letter or underscore, then letters, digits, dots, hyphens, underscores.
fn token(text: &str) -> String {
    let allowed = |c: char| if c.is_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    // Letters that pass for others would make one control of two.
    let token: String = shown_within(text, 100).chars().map(allowed).collect();
    if token.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        token
    } else {
        format!("_{token}")
    }
}

fn props(record: &Record, completeness: Option<&Completeness>, options: &Options) -> Vec<Value> {
    let verdict = completeness.map(|told| if told.complete { "complete" } else { "incomplete" });
    let mut pairs = vec![("completeness", verdict.unwrap_or("no-policy").to_owned())];
    for name in ["run", "workflow", "agent", "principal", "subject", "state", "outcome", "host"] {
        pairs.push((name, record.get(name)));
    }
    if let Some(told) = &options.integrity {
        pairs.push(("integrity", told.word().to_lowercase()));
    }
    let said = pairs.iter().filter(|(_, value)| !value.trim().is_empty());
    said.map(|(name, value)| {
        json!({ "name": name, "value": value.trim(), "ns": "https://exhibit.example/ns/oscal" })
    })
    .collect()
}

fn evidence(
    paths: impl Iterator<Item = String>,
    files: &BTreeMap<String, (Option<String>, Digest)>,
    ids: &Ids,
) -> Vec<Value> {
    let paths = paths.filter(|path| files.contains_key(path));
    paths
        .map(
            |path| json!({ "href": format!("#{}", ids.of(&path)), "description": markdown(&path) }),
        )
        .collect()
}

fn observation(
    ids: &Ids,
    files: &BTreeMap<String, (Option<String>, Digest)>,
    name: &str,
    description: String,
    at: &str,
    paths: Vec<String>,
) -> Value {
    let mut observation = json!({
        "uuid": ids.of(name), "description": markdown(&description), "methods": ["EXAMINE"], "collected": at,
    });
    let evidence = evidence(paths.into_iter(), files, ids);
    if !evidence.is_empty() {
        observation["relevant-evidence"] = json!(evidence);
    }
    observation
}

/// When something was told; where that cannot be read, when the run ended.
fn time_of<'a>(told: &'a EventFiles, ended: &'a str) -> &'a str {
    if told.time.parse::<jiff::Timestamp>().is_ok() { &told.time } else { ended }
}

/// What changed between captures that belong together.
fn changed(
    source: &mut Source,
    story: &Story,
    ids: &Ids,
    files: &BTreeMap<String, (Option<String>, Digest)>,
    ended: &str,
) -> Vec<Value> {
    let mut budget = Budget::default();
    let mut pair = |(before, after): Places| {
        let told = [&story.captures[before], &story.captures[after]];
        let changes = Changes::between(source, &mut budget, told, [None; 2]);
        let [before, after] = told.map(|told| told.get("capture"));
        let said = match changes.silence() {
            Some(silence) => silence,
            None => format!("{}.", changes.sentences().join("; ")),
        };
        let name = format!("changes {} {}", told[0].line, told[1].line);
        let what = format!("From capture {before} to {after}: {said} {}", changes.counted());
        let at = time_of(told[1], ended);
        let warning = changes.warning();
        let mut observation = observation(ids, files, &name, what, at, changes.files);
        let mut remarks = changes.notes;
        remarks.splice(0..0, warning);
        let how = "Computed from the files named, when this document was made.";
        remarks.insert(0, how.to_owned());
        observation["remarks"] = json!(markdown(&remarks.join(" ")));
        observation
    };
    choose(story).0.into_iter().map(&mut pair).collect()
}

fn observations(
    story: &Story,
    record: &Record,
    completeness: Option<&Completeness>,
    ids: &Ids,
    files: &BTreeMap<String, (Option<String>, Digest)>,
    ended: &str,
) -> Vec<Value> {
    let one = |name: String, description: String, at: &str, paths: Vec<String>| {
        observation(ids, files, &name, description, at, paths)
    };
    let log = format!("{} events, in the order in which they were recorded.", story.events);
    let whole = vec![EVENTS.to_owned(), RECORD.to_owned()];
    let mut all = vec![one("events".to_owned(), log, ended, whole)];
    let told = |told: &EventFiles, what: String| {
        let at = time_of(told, ended);
        let paths = told.files.iter().map(|file| file.path.clone()).collect();
        one(format!("event {}", told.line), what, at, paths)
    };
    for capture in &story.captures {
        let (name, title) = (capture.get("capture"), capture.get("title"));
        let address = capture.get("final_url");
        let title = quoted(&title);
        all.push(told(
            capture,
            format!("Capture {name}: {title} at {}.", quoted_unless_plain(&address)),
        ));
    }
    for recording in &story.recordings {
        all.push(told(recording, format!("Recording {}.", recording.get("recording"))));
    }
    for named in &story.code {
        let paths = named.file.iter().map(|path| in_data(path)).collect();
        all.push(one(format!("code {}", named.event), code_named(named), ended, paths));
    }
    for (index, requirement) in
        completeness.into_iter().flat_map(|told| &told.requirements).enumerate()
    {
        let paths = requirement.evidence.iter().map(|shown| in_data(&shown.path)).collect();
        let name = format!("requirement {index}");
        all.push(one(name, described(requirement, &record.get("workflow")), ended, paths));
    }
    all
}

/// The code that an event names, in a sentence.
fn code_named(named: &CodeNamed) -> String {
    let fields = named.code.iter().take(20);
    let mut said: Vec<String> = fields
        .map(|(name, value)| format!("{} {}", text(name), quoted_unless_plain(&spoken(value))))
        .collect();
    let state = named.work_tree.as_ref().and_then(|tree| tree.get("state"));
    said.extend(state.map(|state| format!("work tree {}", spoken(state))));
    format!("Code that ran, named by event {}: {}.", named.event, said.join(", "))
}

fn described(requirement: &Requirement, workflow: &str) -> String {
    let is = match (requirement.met, requirement.altered) {
        (true, _) => "is present",
        (false, true) => "was altered",
        (false, false) => "is missing",
    };
    let workflow = quoted_unless_plain(workflow);
    let mut text = format!("{}, which the workflow {workflow} asks for, {is}.", requirement.what);
    if !requirement.reason.is_empty() {
        text = format!("{text} {}", requirement.reason);
    }
    let pages = requirement.error_pages();
    if !pages.is_empty() {
        text = format!("{text} What shows it are error pages: {pages}.");
    }
    if !requirement.word.is_empty() {
        text = format!("{text} It is {}.", requirement.word);
    }
    text
}

fn finding((index, requirement): (usize, &Requirement), told: &Completeness, ids: &Ids) -> Value {
    let state = if requirement.met { "satisfied" } else { "not-satisfied" };
    json!({
        "uuid": ids.of(&format!("finding {index}")),
        "title": markdown(&requirement.what),
        "description": markdown(&described(requirement, &told.workflow)),
        "target": {
            "type": "objective-id",
            "target-id": token(&format!("{}_{}", told.workflow, requirement.what)),
            "status": { "state": state },
        },
        "related-observations": [
            { "observation-uuid": ids.of(&format!("requirement {index}")) },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_the_form_that_oscal_takes_and_follow_from_the_run() {
        let ids = Ids("a".to_owned());
        assert_eq!(ids.of("x"), ids.of("x"));
        assert_ne!(ids.of("x"), Ids("b".to_owned()).of("x"));
        assert_eq!(ids.of("x").get_version_num(), 5);
        assert_eq!(ids.of("x").get_variant(), uuid::Variant::RFC4122);
        assert_eq!(token("PI1.4"), "PI1.4");
        assert_eq!(token("8 <b>"), "_8__b_");
        assert_eq!(token(""), "_");
        assert_eq!(token("\u{421}\u{421}6.1"), "_u_421__u_421_6.1");
    }
}
