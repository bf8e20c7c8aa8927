//! Owns how much of what the workflow asks for is there, as it is told: each requirement with what
//! shows it, whose word it rests on, what is wrong with it, and whether it can still be met.

use serde_json::Value;

use super::facts::Record;
use super::source::Source;
use super::story::{EventFiles, Story};
use super::text::spoken;
use crate::evidence::{CodeNamed, EVENTS};
use crate::workflow::without_remedy;

/// Something the workflow asks for.
#[derive(Debug)]
pub(super) struct Requirement {
    pub(super) what: String,
    pub(super) met: bool,
    /// Whether what shows it is not what was recorded.
    pub(super) altered: bool,
    pub(super) reason: String,
    /// Whether nothing that is done while the run is open can add it.
    pub(super) never: bool,
    /// Whose word it rests on; empty where Exhibit established it.
    pub(super) word: &'static str,
    pub(super) evidence: Vec<Shown>,
}

impl Requirement {
    /// The statuses of the error pages among what shows it.
    pub(super) fn error_pages(&self) -> String {
        let mut pages: Vec<&str> = Vec::new();
        for shown in &self.evidence {
            if !shown.error_page.is_empty() && !pages.contains(&&*shown.error_page) {
                pages.push(&shown.error_page);
            }
        }
        pages.join(", ")
    }
}

/// A place that shows that a requirement is met.
#[derive(Debug)]
pub(super) struct Shown {
    /// A path in the folder, or a line of the chain.
    pub(super) path: String,
    /// What is wrong with it; empty when nothing is.
    pub(super) wrong: &'static str,
    /// The status of the error page that it shows; empty of any other.
    pub(super) error_page: String,
}

/// How much of what the workflow asks for is there.
#[derive(Debug)]
pub(super) struct Completeness {
    pub(super) complete: bool,
    pub(super) workflow: String,
    pub(super) controls: String,
    pub(super) requirements: Vec<Requirement>,
    pub(super) missing: u64,
}

impl Completeness {
    /// What the record says of it; none when no policy was applied.
    pub(super) fn of(record: &Record, story: &Story) -> Option<Self> {
        let told = record.fields.get("completeness").filter(|told| told.is_object())?;
        let mut requirements: Vec<Requirement> = told["requirements"]
            .as_array()
            .into_iter()
            .flatten()
            .take(500)
            .map(|told| requirement(told, story, record.ended))
            .collect();
        // What is missing is to be seen first.
        requirements.sort_by_key(|requirement| requirement.met);
        let missing = requirements.iter().filter(|requirement| !requirement.met).count() as u64;
        Some(Self {
            // What is missing weighs more than the word.
            complete: told["verdict"] == "complete" && missing == 0,
            workflow: spoken(&told["workflow"]),
            controls: spoken(&told["controls"]),
            requirements,
            missing,
        })
    }

    /// Hold what shows each requirement against manifest and events: what was altered since shows
    /// nothing, whatever the record says.
    pub(super) fn check(&mut self, source: &mut Source) {
        for requirement in &mut self.requirements {
            for shown in &mut requirement.evidence {
                let path = shown.path.split(':').next().unwrap_or_default();
                let path = if path == "events.jsonl" { EVENTS.to_owned() } else { in_data(path) };
                shown.wrong = source.whole(&path).mark();
            }
            let wrong = requirement.evidence.iter().filter(|shown| !shown.wrong.is_empty()).count();
            if requirement.met && wrong > 0 {
                (requirement.met, requirement.altered) = (false, true);
                let all = requirement.evidence.len();
                requirement.reason = format!(
                    "It was there when the run was sealed; {wrong} of the {all} places that show it \
                     are no longer what was recorded."
                );
                self.complete = false;
            }
        }
        self.requirements.sort_by_key(|requirement| (requirement.met, !requirement.altered));
    }
}

/// The path of a file below `data/`.
pub(super) fn in_data(path: &str) -> String {
    if path.starts_with("data/") { path.to_owned() } else { format!("data/{path}") }
}

fn requirement(told: &Value, story: &Story, ended: bool) -> Requirement {
    let name = spoken(&told["name"]);
    let what = match told["kind"].as_str() {
        Some("layer") => match name.as_str() {
            "log" => "Layer 1, log: what the agent says".to_owned(),
            "code" => "Layer 2, code: what ran".to_owned(),
            "visual" => "Layer 3, visual: what was seen".to_owned(),
            _ => format!("Layer {name}"),
        },
        Some("stage") => format!("Stage {name}"),
        Some("recording") => "Recording".to_owned(),
        Some("field") => format!("Field {name}"),
        _ => format!("{} {name}", spoken(&told["kind"])),
    };
    let met = told["met"] == true;
    let evidence = told["evidence"].as_array().into_iter().flatten().take(50);
    let evidence: Vec<Shown> = evidence.map(|path| shown(spoken(path), story)).collect();
    let reason = spoken(&told["reason"]);
    let lack = without_remedy(&reason);
    Requirement {
        what,
        met,
        never: !met && lack == reason,
        word: if met { word(&name, &evidence, story) } else { "" },
        reason: if ended { without_advice(lack) } else { lack }.to_owned(),
        altered: false,
        evidence,
    }
}

/// `lack` without what another run should do: to this one nothing can be added.
fn without_advice(lack: &str) -> &str {
    ["; it can be given only when a run is opened", ", and another run can"]
        .iter()
        .fold(lack, |lack, advice| lack.split_once(advice).map_or(lack, |(lack, _)| lack))
}

fn shown(path: String, story: &Story) -> Shown {
    let capture = path.strip_prefix("captures/").and_then(|below| below.split('/').next());
    let capture = capture.and_then(|name| {
        let named = |told: &&EventFiles| told.data.get("capture").is_some_and(|told| told == name);
        story.captures.iter().find(named)
    });
    let error_page = capture.and_then(EventFiles::error_page).unwrap_or_default();
    Shown { path, wrong: "", error_page }
}

/// Whose word the requirement called `name` rests on, when `evidence` shows that it is met.
fn word(name: &str, evidence: &[Shown], story: &Story) -> &'static str {
    const CALLER: &str = "declared by the caller";
    let read_here = |named: &&CodeNamed| named.work_tree.is_some() || named.file.is_some();
    match name {
        "log" | "approval" => "said by the agent",
        "agent" | "principal" | "subject" | "review" => CALLER,
        "code" => {
            let line = |named: &CodeNamed| format!("events.jsonl:{}", named.event);
            let mut seen = story.code.iter().filter(read_here).map(line);
            let is_seen = seen.any(|line| evidence.iter().any(|shown| shown.path == line));
            if is_seen { "" } else { CALLER }
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn record(fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("an object") };
        Record { fields, ended: true }
    }

    #[test]
    fn a_word_cannot_make_complete_what_lacks_something() {
        let told = json!({"completeness": {"verdict": "complete", "requirements": [
            {"kind": "stage", "name": "after", "met": false, "reason": "no capture"},
            {"kind": "layer", "name": "log", "met": true},
        ]}});
        let completeness = Completeness::of(&record(told), &Story::default()).expect("told");
        assert!(!completeness.complete);
        assert_eq!((completeness.missing, completeness.requirements.len()), (1, 2));
        assert!(Completeness::of(&record(json!({"completeness": 7})), &Story::default()).is_none());
    }

    #[test]
    fn whose_word_it_is_and_what_can_no_longer_be_met_are_told() {
        let opening = "`principal` was not given; it can be given only when a run is opened";
        let log = "the agent has said nothing; add an event with POST /runs/{id}/events";
        let told = json!({"completeness": {"verdict": "incomplete", "requirements": [
            {"kind": "field", "name": "principal", "met": false, "reason": opening},
            {"kind": "layer", "name": "log", "met": false, "reason": log},
            {"kind": "layer", "name": "code", "met": true, "evidence": ["events.jsonl:3"]},
            {"kind": "field", "name": "approval", "met": true, "evidence": ["events.jsonl:4"]},
            {"kind": "stage", "name": "before", "met": true, "evidence": ["captures/1/a.png"]},
        ]}});
        let mut story = Story::default();
        let judged = |ended: bool, story: &Story| {
            let record = Record { ended, ..record(told.clone()) };
            let told = Completeness::of(&record, story).expect("told").requirements.into_iter();
            told.map(|one| (one.never, one.word, one.reason)).collect::<Vec<_>>()
        };
        let open = judged(false, &story);
        assert_eq!((open[0].0, &*open[0].2), (true, opening));
        assert_eq!((open[1].0, &*open[1].2), (false, "the agent has said nothing"));
        let words: Vec<&str> = open.iter().map(|one| one.1).collect();
        assert_eq!(words, ["", "", "declared by the caller", "said by the agent", ""]);
        assert_eq!(judged(true, &story)[0].2, "`principal` was not given");
        let file = Some("data/attachments/a.rs".to_owned());
        story.code.push(CodeNamed { event: 3, code: Map::new(), work_tree: None, file });
        assert_eq!(judged(true, &story)[2].1, "", "the file was read here");
    }
}
