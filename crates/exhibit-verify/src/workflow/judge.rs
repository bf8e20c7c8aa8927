//! Owns the judgement: each requirement of a policy against what a run's events and files tell.

use std::collections::HashMap;

use super::tally::{Counted, Shown, Tally};
use super::{
    Completeness, Field, KINDS, Layer, MAX_EVIDENCE, Policy, Requirement, RequirementKind, Verdict,
};
use crate::artifact::Artifact;
use crate::run::{CodeReference, RunSpec};
use exhibit_tlog::digest::Digest;

/// The line of the first event, which holds what was declared at open.
const OPENING: &str = "events.jsonl:1";

/// Whether a run that declared `spec`, whose events came to `tally` and whose files are
/// `artifacts`, holds what `policy` requires. A capture counts only while its file is the one that
/// its event tells of.
pub fn judge<'a>(
    policy: &Policy,
    spec: &RunSpec,
    tally: &Tally,
    artifacts: impl IntoIterator<Item = &'a Artifact>,
) -> Completeness {
    let files = artifacts.into_iter().map(|one| (one.path.as_str(), one.sha256)).collect();
    let tally = tally.counted();
    let mut shown = still_there(&tally, &files);
    let partial = shown.extract_if(.., |one| one.incomplete && !policy.incomplete_views).collect();
    let judge = Judge { spec, tally, shown, partial };
    let mut requirements = Vec::new();
    requirements.extend(policy.layers.iter().map(|layer| judge.layer(*layer)));
    let mut stages: Vec<_> = policy.stages.iter().collect();
    stages.sort_by_key(|(stage, _)| (place(stage), *stage));
    requirements.extend(stages.into_iter().map(|(stage, kinds)| judge.stage(stage, kinds)));
    requirements.extend(policy.recording.then(|| judge.recording()));
    requirements.extend(policy.fields.iter().map(|field| judge.field(*field)));
    let met = requirements.iter().all(|one| one.met);
    let mut controls = policy.controls.clone();
    for control in &spec.controls {
        if !controls.contains(control) {
            controls.push(control.clone());
        }
    }
    Completeness {
        verdict: if met { Verdict::Complete } else { Verdict::Incomplete },
        workflow: spec.workflow.clone(),
        controls,
        requirements,
    }
}

/// The order in which stages are told: as they come about, then by name.
fn place(stage: &str) -> usize {
    ["before", "during", "after"].iter().position(|known| *known == stage).unwrap_or(3)
}

fn still_there<'t>(tally: &Counted<'t>, files: &HashMap<&str, Digest>) -> Vec<&'t Shown> {
    let same = |shown: &&Shown| files.get(shown.path.as_str()) == Some(&shown.sha256);
    tally.shown.iter().copied().filter(same).collect()
}

struct Judge<'a> {
    spec: &'a RunSpec,
    tally: Counted<'a>,
    shown: Vec<&'a Shown>,
    /// Captures that do not count, because they do not show all they seem to.
    partial: Vec<&'a Shown>,
}

/// A requirement for which `evidence` was found; `reason` tells what is missing when none was.
fn requirement(
    kind: RequirementKind,
    name: &str,
    evidence: Vec<String>,
    reason: impl FnOnce() -> String,
) -> Requirement {
    let met = !evidence.is_empty();
    Requirement {
        kind,
        name: name.to_owned(),
        captures: Vec::new(),
        met,
        evidence,
        altered: Vec::new(),
        reason: (!met).then(reason),
    }
}

fn line(number: u64) -> String {
    format!("events.jsonl:{number}")
}

impl Judge<'_> {
    fn layer(&self, layer: Layer) -> Requirement {
        let kind = RequirementKind::Layer;
        match layer {
            Layer::Log => {
                let evidence = self.tally.said.map(line).into_iter().collect();
                requirement(kind, layer.word(), evidence, || {
                    "the agent has said nothing; add an event with POST /runs/{id}/events".into()
                })
            }
            Layer::Code => {
                let named = |code: &CodeReference| code.commit.is_some() || code.sha256.is_some();
                requirement(kind, layer.word(), self.code(named), || {
                    "no code reference names a commit or a file's hash; give `code` with `commit` \
                     or `sha256` when opening the run, or with POST /runs/{id}/code"
                        .into()
                })
            }
            Layer::Visual => {
                let found = self.shown.clone();
                shown_requirement(kind, layer.word(), found, || {
                    let partial = self.partial(None);
                    format!(
                        "no capture and no recording succeeded{partial}; take one with POST \
                         /runs/{{id}}/captures"
                    )
                })
            }
        }
    }

    fn stage(&self, stage: &str, kinds: &[String]) -> Requirement {
        let of_stage = |shown: &&&Shown| shown.stage == stage;
        let captures = self.shown.iter().filter(|shown| shown.kind.is_some());
        let captures: Vec<&Shown> = captures.filter(of_stage).copied().collect();
        let has = |kind: &str| captures.iter().any(|shown| shown.kind == Some(kind));
        let lacking: Vec<&str> = if kinds.is_empty() {
            // The first is only what the sentence proposes.
            captures.is_empty().then_some(KINDS[0].0).into_iter().collect()
        } else {
            kinds.iter().map(String::as_str).filter(|kind| !has(kind)).collect()
        };
        let wanted = |shown: &&Shown| {
            kinds.is_empty() || kinds.iter().any(|kind| shown.kind == Some(kind.as_str()))
        };
        let found = captures.iter().copied().filter(wanted).collect();
        let mut requirement = shown_requirement(RequirementKind::Stage, stage, found, String::new);
        requirement.captures = kinds.to_vec();
        requirement.met = lacking.is_empty();
        requirement.reason = (!lacking.is_empty()).then(|| self.lacks(stage, kinds, &lacking));
        requirement
    }

    /// What a stage lacks, and whether it was tried.
    fn lacks(&self, stage: &str, kinds: &[String], lacking: &[&str]) -> String {
        let what = if kinds.is_empty() { "capture".to_owned() } else { lacking.join(" and no ") };
        let tried = self.tally.failed.iter().find(|failed| failed.stage == stage);
        let tried = tried.map_or_else(String::new, |failed| {
            format!(" ({} failed, the last with `{}`)", failed.times, failed.code)
        });
        let partial =
            if lacking.contains(&KINDS[0].0) { self.partial(Some(stage)) } else { String::new() };
        format!(
            "the stage `{stage}` has no {what}{tried}{partial}; take one with POST /runs/{{id}}/captures and \
             {{\"type\": \"{}\", \"stage\": \"{stage}\"}}",
            lacking.first().unwrap_or(&KINDS[0].0),
        )
    }

    /// The pictures, in `stage` where one is given, that do not count because they are not whole.
    fn partial(&self, stage: Option<&str>) -> String {
        let here = |shown: &&&Shown| stage.is_none_or(|stage| shown.stage == stage);
        let mut paths = self.partial.iter().filter(here).map(|shown| &shown.path);
        let Some(first) = paths.next() else { return String::new() };
        let others = paths.count();
        let others = if others > 0 { format!(" and {others} more") } else { String::new() };
        format!(
            " ({}{others} does not count: its event's `incomplete_view` tells what it does not show, and \
             the workflow does not allow `incomplete_views`)",
            first.trim_start_matches("data/")
        )
    }

    fn recording(&self) -> Requirement {
        let found = self.shown.iter().copied().filter(|shown| shown.kind.is_none()).collect();
        let mut requirement =
            shown_requirement(RequirementKind::Recording, "recording", found, || {
                let tried = match self.tally.failed_recordings {
                    0 => String::new(),
                    times => format!(" ({times} failed)"),
                };
                format!(
                    "there is no recording{tried}; make one of a session's page with POST \
                 /runs/{{id}}/recordings"
                )
            });
        let windows = self.tally.unrecorded_windows;
        if requirement.met && windows > 0 {
            requirement.met = false;
            requirement.reason = Some(format!(
                "windows that recorded pages opened and that were not recorded: {windows}; the \
                 events `window.closed` tell what they did, and another run can record more of them \
                 at a time with a larger `video.max`"
            ));
        }
        requirement
    }

    fn field(&self, field: Field) -> Requirement {
        let declared =
            |value: &Option<String>| value.iter().map(|_| OPENING.to_owned()).collect::<Vec<_>>();
        let evidence = match field {
            Field::Agent => declared(&self.spec.agent),
            Field::Principal => declared(&self.spec.principal),
            Field::Subject => declared(&self.spec.subject),
            Field::Approval => self.tally.approval.map(line).into_iter().collect(),
            Field::Code => self.code(|code| *code != CodeReference::default()),
            Field::Review => self.code(|code| code.review.is_some()),
        };
        let word = field.word();
        requirement(RequirementKind::Field, word, evidence, || match field {
            Field::Agent | Field::Principal | Field::Subject => {
                format!("`{word}` was not given; it can be given only when a run is opened")
            }
            Field::Approval => "nobody approved; add an event of the kind `approval` with POST \
                                /runs/{id}/events"
                .into(),
            Field::Code => {
                "no code reference was given; give `code` when opening the run, or with \
                            POST /runs/{id}/code"
                    .into()
            }
            Field::Review => {
                "no code reference links to its review; give `code` with `review` when \
                              opening the run, or with POST /runs/{id}/code"
                    .into()
            }
        })
    }

    /// Where a code reference stands that passes `enough`.
    fn code(&self, enough: impl Fn(&CodeReference) -> bool) -> Vec<String> {
        let declared = self.spec.code.iter().map(|code| (OPENING.to_owned(), code));
        let later = self.tally.code.iter().map(|(number, code)| (line(*number), *code));
        let found = declared.chain(later).filter(|(_, code)| enough(code));
        found.map(|(place, _)| place).take(MAX_EVIDENCE).collect()
    }
}

/// A requirement that is met by files that show something.
fn shown_requirement(
    kind: RequirementKind,
    name: &str,
    mut found: Vec<&Shown>,
    reason: impl FnOnce() -> String,
) -> Requirement {
    // Plain views first: they are the better evidence, and may have to speak for all.
    found.sort_by_key(|shown| shown.altered);
    found.truncate(MAX_EVIDENCE);
    let path = |shown: &&Shown| shown.path.trim_start_matches("data/").to_owned();
    let altered = found.iter().filter(|shown| shown.altered).map(path).collect();
    let evidence = found.iter().map(path).collect();
    Requirement { altered, ..requirement(kind, name, evidence, reason) }
}
