//! Owns what can be configured of workflows: the ones that come with the program, and the reading
//! of `[workflows.<name>]`. What a policy means is decided in [`workflow`](crate::workflow).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use toml::de::DeValue;

use super::read::{self, Document};
use super::render::duration;
use crate::settings::Stage;
use crate::workflow::{Field, KINDS, Layer, Policy};

/// Longest name of a workflow, a stage, a control.
const MAX_NAME: usize = 100;

/// The policies of the workflows, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflows(pub BTreeMap<String, Policy>);

impl Default for Workflows {
    /// The three that come with the program; the shipped `config.toml` says the same.
    fn default() -> Self {
        let all = vec![Layer::Log, Layer::Code, Layer::Visual];
        let stages = |names: &[&str]| {
            let stage = |name: &&str| ((*name).to_owned(), vec!["screenshot".to_owned()]);
            names.iter().map(stage).collect()
        };
        let controls = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let refund = Policy {
            layers: all.clone(),
            stages: stages(&["before", "after"]),
            recording: true,
            incomplete_views: false,
            fields: vec![Field::Agent, Field::Principal, Field::Subject, Field::Code],
            controls: controls(&["PI1.4"]),
            retention: Some("financial".to_owned()),
            max_duration_ms: Some(2 * 60 * 60 * 1000),
        };
        let access_change = Policy {
            stages: stages(&["before", "after"]),
            recording: false,
            fields: vec![
                Field::Agent,
                Field::Principal,
                Field::Subject,
                Field::Approval,
                Field::Code,
            ],
            controls: controls(&["CC6.1", "CC6.2", "CC6.3"]),
            retention: Some("access".to_owned()),
            ..refund.clone()
        };
        let data_validation = Policy {
            fields: vec![Field::Agent, Field::Subject, Field::Code],
            controls: controls(&["PI1.1", "PI1.2"]),
            retention: Some("operations".to_owned()),
            max_duration_ms: Some(12 * 60 * 60 * 1000),
            ..access_change.clone()
        };
        let named = [
            ("refund", refund),
            ("access-change", access_change),
            ("data-validation", data_validation),
        ];
        Self(named.map(|(name, policy)| (name.to_owned(), policy)).into())
    }
}

impl Workflows {
    /// The policy of the workflow `name`.
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.0.get(name)
    }

    /// As tables of TOML that read back to the same.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let words = |words: Vec<&str>| toml::Value::from(words);
        for (name, policy) in &self.0 {
            let stage = |(name, kinds): (&String, &Vec<String>)| {
                (name.clone(), toml::Value::from(kinds.clone()))
            };
            let stages: toml::Table = policy.stages.iter().map(stage).collect();
            let max = policy.max_duration_ms.map(|ms| duration(Duration::from_millis(ms)));
            let values: [(&str, toml::Value); 8] = [
                ("layers", words(policy.layers.iter().map(|layer| layer.word()).collect())),
                ("stages", stages.into()),
                ("recording", policy.recording.into()),
                ("incomplete_views", policy.incomplete_views.into()),
                ("fields", words(policy.fields.iter().map(|field| field.word()).collect())),
                ("controls", policy.controls.clone().into()),
                ("retention", policy.retention.clone().unwrap_or_default().into()),
                ("max_duration", max.unwrap_or_else(|| "".into())),
            ];
            // Quoted, because a name may hold a dot.
            let _ = writeln!(text, "\n[workflows.{}]", toml::Value::from(name.as_str()));
            for (key, value) in values {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }
}

/// Read every `[workflows.<name>]`; a key that is left out has its default in a workflow that comes
/// with the program, and requires nothing in any other.
pub(super) fn workflows(document: &mut Document<'_>, default: Workflows) -> Workflows {
    let mut found = default;
    for (name, line) in document.names_in("workflows") {
        let known = found.0.get(&name).cloned().unwrap_or_default();
        let full = format!("workflows.{name}");
        let policy = policy(document, &full, known);
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(sound) {
            let why = "no name of a workflow; write 1 to 100 of letters, digits and . _ -";
            document.wrong(Some(line), &full, why.to_owned());
        } else if policy.is_empty() && !document.is_wrong(&full) {
            let why = "requires nothing, so that every run would be complete; write `layers`, \
                       `stages`, `recording` or `fields`";
            document.wrong(Some(line), &full, why.to_owned());
        }
        found.0.insert(name, policy);
    }
    found
}

fn policy(document: &mut Document<'_>, name: &str, default: Policy) -> Policy {
    let mut table = document.table(name);
    let policy = Policy {
        layers: table.get("layers", default.layers, choices(Layer::ALL)),
        stages: table.get("stages", default.stages, stages),
        recording: table.get("recording", default.recording, read::switch),
        incomplete_views: table.get("incomplete_views", default.incomplete_views, read::switch),
        fields: table.get("fields", default.fields, choices(Field::ALL)),
        controls: table.get("controls", default.controls, controls),
        retention: table.option("retention", default.retention, label),
        max_duration_ms: table.option("max_duration", default.max_duration_ms, positive),
    };
    table.finish();
    policy
}

/// A list of words of which each is in `all`, and each at most once.
fn choices<T: Copy + PartialEq>(
    all: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<Vec<T>, String> {
    move |value| {
        let words: Vec<_> = all.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let remedy = format!("write a list of {}", words.join(", "));
        let given = read::list(value).map_err(|_| remedy.clone())?;
        let mut found = Vec::new();
        for word in &given {
            let known = all.iter().find(|(known, _)| known == word);
            let (_, one) = known.ok_or_else(|| format!("`{word}` is not known; {remedy}"))?;
            if found.contains(one) {
                return Err(format!("`{word}` stands there twice; {remedy}, each once"));
            }
            found.push(*one);
        }
        Ok(found)
    }
}

/// A table of stages, each with the kinds of capture it must have.
fn stages(value: &DeValue<'_>) -> Result<BTreeMap<String, Vec<String>>, String> {
    let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| format!("\"{kind}\"")).collect();
    let remedy = format!(
        "write {{ before = [\"screenshot\"] }}: stages, each with any of {}; [] for a capture of \
         any kind",
        kinds.join(", ")
    );
    let table = value.as_table().ok_or_else(|| remedy.clone())?;
    let mut stages = BTreeMap::new();
    for (name, value) in table {
        let name = name.get_ref();
        if Stage::new(name).is_none() {
            return Err(format!(
                "`{name}` is no stage; write 1 to 40 lower-case letters, digits and hyphens"
            ));
        }
        let given = read::list(value.get_ref()).map_err(|_| remedy.clone())?;
        for kind in &given {
            if !KINDS.iter().any(|(known, _)| known == kind) {
                return Err(format!("`{kind}` is no kind of capture; {remedy}"));
            }
        }
        stages.insert(name.to_string(), given);
    }
    Ok(stages)
}

fn controls(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let remedy = "write a list of short texts, such as [\"CC8.1\"]";
    let given = read::list(value).map_err(|_| remedy.to_owned())?;
    let sound = |text: &String| !text.is_empty() && text.len() <= MAX_NAME;
    if given.iter().all(sound) { Ok(given) } else { Err(remedy.to_owned()) }
}

fn label(value: &DeValue<'_>) -> Result<String, String> {
    let text = read::text(value)?;
    if text.len() <= MAX_NAME { Ok(text) } else { Err("write at most 100 bytes".to_owned()) }
}

fn positive(value: &DeValue<'_>) -> Result<u64, String> {
    let millis = read::duration(value)?.as_millis();
    let longer = "must be longer than nothing; write \"1s\" or more";
    u64::try_from(millis).ok().filter(|millis| *millis > 0).ok_or_else(|| longer.to_owned())
}
