//! Owns the reading of sequences that are kept to be run later: `POST /sequences`, and
//! `POST /sequences/import`, which makes one of what an agent did.

use serde_json::{Map, Value, json};

use super::SequenceRequest;
use super::fields::{Fields, shortened};
use crate::error::{Code, Problem};

/// Most steps of a sequence that is kept: the hosted API's limit.
const STEPS: usize = 100;
/// Actions of a trace after which nothing is done in the page.
const IDLE: &[&str] = &["done", "finish", "fail", "observe", "screenshot", "think"];

/// A sequence to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRequest {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// `sequence` or `video`.
    pub kind: &'static str,
    /// The body with which it is run.
    pub body: Value,
}

impl StoredRequest {
    /// Read the body of `POST /sequences`.
    ///
    /// # Errors
    /// Every problem found, as one: the first with its field, the others in the hint.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let request = read(&mut fields);
        fields.refuse_leftovers();
        let request = fields.finish(request)?;
        request.check()?;
        Ok(request)
    }

    /// What can be judged now is judged now; what has variables in it, when they have values.
    fn check(&self) -> Result<(), Problem> {
        if self.kind == "sequence" && !self.body.to_string().contains("{{") {
            SequenceRequest::read(self.body.clone())?;
        }
        Ok(())
    }
}

fn read(fields: &mut Fields) -> Option<StoredRequest> {
    let name = if fields.has("name") {
        fields.filled_text("name", 100)
    } else {
        missing(fields, "name", "give what the sequence is to be called")
    };
    let description = fields.text("description", 500).unwrap_or_default();
    let kind = kind(fields);
    let steps = steps(fields);
    let mut body = Map::new();
    body.extend(fields.number("pace", 0.5..=3.0).map(|pace| ("pace".to_owned(), json!(pace))));
    body.extend(fields.text("format", 100).map(|format| ("format".to_owned(), json!(format))));
    for name in ["viewport", "audioGuide", "darkMode", "deviceScaleFactor"] {
        body.extend(fields.value(name).map(|value| (name.to_owned(), value)));
    }
    if kind == "sequence" {
        // These are for recordings only.
        body.retain(|name, _| !matches!(name.as_str(), "pace" | "format" | "audioGuide"));
    }
    body.insert("steps".to_owned(), Value::Array(steps?));
    Some(StoredRequest { name: name?, description, kind, body: Value::Object(body) })
}

fn kind(fields: &mut Fields) -> &'static str {
    let kinds = [("sequence", "sequence"), ("video", "video")];
    fields.choice("type", &kinds).unwrap_or("sequence")
}

fn steps(fields: &mut Fields) -> Option<Vec<Value>> {
    if !fields.has("steps") {
        return missing(
            fields,
            "steps",
            "give a list like [{\"action\": \"navigate\", \"url\": …}]",
        );
    }
    let steps = fields.list("steps", STEPS)?;
    if steps.is_empty() || !steps.iter().all(|step| step["action"].is_string()) {
        return fields.wrong("steps", "a list without an action in each", "give {\"action\": …}");
    }
    Some(steps)
}

/// A sequence to be made of what an agent did.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportRequest {
    /// The sequence.
    pub sequence: StoredRequest,
    /// Whether it is to be kept.
    pub save: bool,
}

impl ImportRequest {
    /// Read the body of `POST /sequences/import`.
    ///
    /// # Errors
    /// As [`StoredRequest::read`].
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let request = import(&mut fields);
        fields.refuse_leftovers();
        let request = fields.finish(request)?;
        request.sequence.check()?;
        Ok(request)
    }
}

fn import(fields: &mut Fields) -> Option<ImportRequest> {
    let kind = kind(fields);
    let name = fields.filled_text("name", 100).unwrap_or_else(|| "Imported".to_owned());
    let save = fields.flag("save").unwrap_or(true);
    let Value::Object(selectors) = fields.value("selectors").unwrap_or(json!({})) else {
        // Taken as well, so that it does not seem to be unknown.
        drop(fields.value("trace"));
        return fields.wrong("selectors", "not an object", "give {\"e1\": \"#pay\"}");
    };
    if !fields.has("trace") {
        return missing(
            fields,
            "trace",
            "give what the agent did, like [{\"action\": \"click\", …}]",
        );
    }
    let mut steps = Vec::new();
    for (index, entry) in fields.list("trace", STEPS)?.iter().enumerate() {
        let field = format!("trace[{index}]");
        let Some(action) = entry["action"].as_str() else {
            return fields.wrong(
                &field,
                "without an action",
                "give {\"action\": …, \"target\": …}",
            );
        };
        if !IDLE.contains(&action) {
            let step = step(entry, action, &selectors);
            let remedy = "give an action of a sequence, with its target and value";
            let Some(step) = step else {
                return fields.wrong(&field, &format!("`{}`", shortened(action)), remedy);
            };
            steps.push(step);
        }
    }
    if steps.is_empty() {
        return fields.wrong("trace", "without anything done in a page", "give what the agent did");
    }
    if kind == "sequence" {
        steps.push(json!({ "action": "screenshot", "name": "final" }));
    }
    let (description, body) = (String::new(), json!({ "steps": steps }));
    Some(ImportRequest { sequence: StoredRequest { name, description, kind, body }, save })
}

/// One thing an agent did, as a step.
fn step(entry: &Value, action: &str, selectors: &Map<String, Value>) -> Option<Value> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let target = text(&entry["target"]);
    // The target is an element's id in the observation, or the selector itself.
    let element = target
        .as_ref()
        .map(|target| selectors.get(target).and_then(Value::as_str).unwrap_or(target).to_owned());
    let value = text(&entry["value"]);
    let number = || value.as_ref()?.parse::<f64>().ok();
    Some(match action {
        "navigate" => json!({ "action": action, "url": value.or(target)? }),
        "click" | "dblclick" | "hover" | "wait_for" => {
            json!({ "action": action, "selector": element? })
        }
        "fill" | "type" => json!({ "action": "fill", "selector": element?, "value": value? }),
        "select" => json!({ "action": action, "selector": element?, "value": value? }),
        "press_key" | "press" => json!({ "action": "press_key", "key": value.or(target)? }),
        "scroll" => match element {
            Some(selector) => json!({ "action": action, "selector": selector }),
            None => json!({ "action": action, "y": number().unwrap_or(600.0) }),
        },
        "wait" => json!({ "action": action, "ms": number().unwrap_or(1000.0) }),
        _ => return None,
    })
}

fn missing<T>(fields: &mut Fields, name: &str, remedy: &str) -> Option<T> {
    let message = format!("`{name}` is missing; {remedy}");
    fields.problem(Problem::new(Code::MissingField, message).field(name))
}

/// Take `variables` out of a body: the values for its `{{names}}`.
///
/// # Errors
/// `invalid_field` when they are no object.
pub fn take_variables(
    body: &mut Map<String, Value>,
) -> Result<Option<Map<String, Value>>, Problem> {
    match body.remove("variables") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(variables)) => Ok(Some(variables)),
        Some(_) => {
            let message = "`variables` is no object; give {\"name\": \"value\"}";
            Err(Problem::new(Code::InvalidField, message).field("variables"))
        }
    }
}

/// `body` with every `{{name}}` replaced by its value in `variables`.
///
/// # Errors
/// `missing_field` for a name without a value.
pub fn with_variables(body: Value, variables: &Map<String, Value>) -> Result<Value, Problem> {
    Ok(match body {
        Value::String(text) => Value::String(replaced(&text, variables)?),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| with_variables(value, variables));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let fields =
                map.into_iter().map(|(name, value)| Ok((name, with_variables(value, variables)?)));
            Value::Object(fields.collect::<Result<_, Problem>>()?)
        }
        other => other,
    })
}

fn replaced(text: &str, variables: &Map<String, Value>) -> Result<String, Problem> {
    let (mut result, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        let name = name.trim();
        let value = variables.get(name).ok_or_else(|| {
            let field = format!("variables.{}", shortened(name));
            let message = format!("`{field}` is missing; the steps use it, give its value");
            Problem::new(Code::MissingField, message).field(field)
        })?;
        result.push_str(before);
        match value {
            Value::String(text) => result.push_str(text),
            other => result.push_str(&other.to_string()),
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_becomes_steps() {
        let body = json!({
            "name": "Refund",
            "trace": [
                { "step": 1, "action": "navigate", "target": "http://a.example/" },
                { "step": 2, "action": "fill", "target": "e2", "value": "12.50", "result": "ok" },
                { "step": 3, "action": "click", "target": "e7", "thought": "pay" },
                { "step": 4, "action": "done" },
            ],
            "selectors": { "e2": "#amount", "e7": "#pay" },
        });
        let request = ImportRequest::read(body).expect("sound");
        let steps = &request.sequence.body["steps"];
        assert_eq!(steps[1], json!({ "action": "fill", "selector": "#amount", "value": "12.50" }));
        assert_eq!(steps[2]["selector"], "#pay");
        assert_eq!(steps[3]["action"], "screenshot");
        assert!(request.save);
        let problem =
            ImportRequest::read(json!({ "trace": [{ "action": "fly" }] })).expect_err("no");
        assert_eq!(problem.field.as_deref(), Some("trace[0]"));
    }

    #[test]
    fn a_kept_sequence_is_judged_at_once() {
        let keep = |steps: Value| StoredRequest::read(json!({ "name": "n", "steps": steps }));
        let problem = keep(json!([{ "action": "fly" }])).expect_err("unknown");
        assert_eq!(problem.field.as_deref(), Some("steps[0].action"));
        let steps = json!([
            { "action": "navigate", "url": "{{base}}/refunds" }, { "action": "screenshot" },
        ]);
        let kept = keep(steps).expect("judged when it is run");
        let none = Map::new();
        let problem = with_variables(kept.body.clone(), &none).expect_err("no value");
        assert_eq!(problem.field.as_deref(), Some("variables.base"));
        let variables = Map::from_iter([("base".to_owned(), json!("http://a.example"))]);
        let body = with_variables(kept.body, &variables).expect("a value");
        assert_eq!(body["steps"][0]["url"], "http://a.example/refunds");
        let long = json!({ "name": "x".repeat(101), "steps": [{ "action": "wait" }] });
        assert_eq!(StoredRequest::read(long).expect_err("long").field.as_deref(), Some("name"));
    }
}
