//! Owns the one sentence that is said of an event, from its kind and its data. What is quoted in it
//! comes from agents and pages.

use serde_json::{Map, Value};

use super::text::{lasting, quoted, spoken};
use crate::shown::quoted_unless_plain;

/// What is said of an event in a line.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) sentence: String,
    /// The address it speaks of, to be shown as text.
    pub(super) url: String,
    /// Whether something failed or was refused.
    pub(super) bad: bool,
    /// Whether somebody decided or approved something.
    pub(super) weighty: bool,
}

/// What is said of an event.
pub(super) fn summary(kind: &str, by_agent: bool, data: &Map<String, Value>) -> Summary {
    let failed = !by_agent && (kind.ends_with(".failed") || kind.ends_with(".refused"));
    let sentence = if by_agent { agent_sentence(data) } else { daemon_sentence(kind, data) };
    let url = ["final_url", "url"].iter().map(|name| get(data, name)).find(|url| !url.is_empty());
    let url = url.or_else(|| data.get("after").map(|after| spoken(&after["url"])));
    Summary {
        sentence: if sentence.is_empty() { agent_sentence(data) } else { sentence },
        url: url.unwrap_or_default(),
        bad: failed || kind == "error" || get(data, "level") == "error",
        weighty: by_agent && (kind == "decision" || kind == "approval"),
    }
}

fn get(data: &Map<String, Value>, name: &str) -> String {
    data.get(name).map_or_else(String::new, spoken)
}

/// The message of an event, else the first of its values that is a text.
fn agent_sentence(data: &Map<String, Value>) -> String {
    let message = get(data, "message");
    if !message.is_empty() {
        return message;
    }
    let first = data.values().find(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    first.map_or_else(String::new, spoken)
}

/// What the daemon saw of windows that a recorded page opened.
fn windows(kind: &str, data: &Map<String, Value>) -> String {
    let get = |name: &str| get(data, name);
    match kind {
        "window.opened" => format!("A window of recording {} was opened", get("opener")),
        "window.closed" => {
            let recorded = data.get("recorded") == Some(&Value::Bool(true));
            let recorded = if recorded { "recorded" } else { "not recorded" };
            let asked = data.get("requests").map_or_else(|| "unknown".to_owned(), spoken);
            let of = format!("A window of recording {} was {recorded}", get("opener"));
            with(&format!("{of}, requests: {asked}"), ", last at ", &get("url"))
        }
        _ => format!("{} more windows of recording {} were opened", get("count"), get("opener")),
    }
}

/// What the daemon saw.
fn daemon_sentence(kind: &str, data: &Map<String, Value>) -> String {
    let get = |name: &str| get(data, name);
    match kind {
        "run.opened" => "The run was opened".to_owned(),
        "run.sealed" => with("The run was sealed", ": ", &quoted_unless_plain(&get("outcome"))),
        "run.recovered" => {
            let bound = |name: &str| data.get("unlogged").map(|lines| spoken(&lines[name]));
            let lines = bound("first").zip(bound("last"));
            let lines = lines.map(|(first, last)| format!("{first} to {last}"));
            let said = "The run was taken up again after a crash";
            with(said, "; the log did not hold the events ", &lines.unwrap_or_default())
        }
        "capture.requested" => format!("Capture {} was asked for", get("capture")),
        "capture.taken" => {
            let taken = with(&titled(&get("capture"), &get("title")), ", status ", &get("status"));
            let failed = data.get("status").and_then(Value::as_u64) >= Some(400);
            with(&taken, ": ", if failed { "an error page" } else { "" })
        }
        "capture.failed" => {
            with(&format!("Capture {} failed", get("capture")), ": ", &get("message"))
        }
        "download.refused" => {
            let name = get("name");
            let name = if name.is_empty() { name } else { quoted(&name) };
            with("A download was refused", ": ", &name)
        }
        "capture.refused" => with("A capture was refused", ": ", &get("message")),
        "sequence.requested" => {
            let steps = data.get("steps").and_then(Value::as_array).map_or(0, Vec::len);
            format!("{steps} steps were asked for")
        }
        "sequence.ended" => {
            let done =
                format!("{} of {} steps were done", get("steps_completed"), get("total_steps"));
            with(&done, ": ", &get("message"))
        }
        "step.done" => step(data),
        "step.failed" => with(&format!("{} failed", step(data)), ": ", &get("message")),
        "recording.started" => format!("Recording {} began", get("recording")),
        "window.opened" | "window.closed" | "windows.unwatched" => windows(kind, data),
        "recording.taken" => {
            let millis = data.get("summary").and_then(|summary| summary["duration_ms"].as_u64());
            let ended = format!("Recording {} ended", get("recording"));
            with(&ended, " after ", &millis.map_or_else(String::new, lasting))
        }
        "captures.compared" => format!("{} % of the pixels differ", get("changed_pct")),
        "attachment.added" => {
            let path = data.get("artifact").map_or_else(String::new, |file| spoken(&file["path"]));
            format!("{} was added", path.rsplit('/').next().unwrap_or_default())
        }
        "code.referenced" => {
            let code = data.get("code").cloned().unwrap_or_default();
            let names = ["commit", "sha256", "path", "repository"];
            let named = names.iter().map(|name| spoken(&code[*name])).find(|it| !it.is_empty());
            let state =
                data.get("work_tree").map_or_else(String::new, |tree| spoken(&tree["state"]));
            let said =
                with("Code was named", ": ", &quoted_unless_plain(&named.unwrap_or_default()));
            with(&said, ", work tree ", &state)
        }
        "session.opened" => "A browser session was opened".to_owned(),
        _ => String::new(),
    }
}

fn with(text: &str, between: &str, more: &str) -> String {
    if more.is_empty() { text.to_owned() } else { format!("{text}{between}{more}") }
}

fn titled(capture: &str, title: &str) -> String {
    if title.is_empty() {
        format!("Capture {capture}")
    } else {
        format!("Capture {capture}: {}", quoted(title))
    }
}

fn step(data: &Map<String, Value>) -> String {
    let number = data.get("step").and_then(Value::as_u64).unwrap_or_default().saturating_add(1);
    let mut sentence = format!("Step {number}: {}", get(data, "action"));
    for name in ["selector", "name", "key", "note"] {
        sentence = with(&sentence, " ", &quoted_unless_plain(&get(data, name)));
    }
    let value = get(data, "value");
    if value.is_empty() { sentence } else { format!("{sentence} = {}", quoted(&value)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_has_its_sentence_and_what_is_unknown_is_not_lost() {
        let of = |kind: &str, by_agent, data: Value| {
            let summary = summary(kind, by_agent, data.as_object().expect("an object"));
            (summary.sentence, summary.bad)
        };
        let data = json!({"action": "fill", "selector": "#a", "value": "48.50", "step": 1});
        assert_eq!(of("step.done", false, data), ("Step 2: fill #a = “48.50”".to_owned(), false));
        let data = json!({"capture": "0001-x", "title": "T", "status": 200});
        assert_eq!(of("capture.taken", false, data).0, "Capture 0001-x: “T”, status 200");
        let data = json!({"capture": "0001-x", "title": "T", "status": 404});
        let told = "Capture 0001-x: “T”, status 404: an error page";
        assert_eq!(of("capture.taken", false, data), (told.to_owned(), false));
        let data = json!({"message": "no\u{202e}"});
        assert_eq!(of("capture.refused", false, data).0, "A capture was refused: no\\u{202e}");
        let data = json!({"name": "a.csv", "url": "http://a.example/a"});
        let refused = ("A download was refused: “a.csv”".to_owned(), true);
        assert_eq!(of("download.refused", false, data), refused);
        assert_eq!(of("download.refused", false, json!({})).0, "A download was refused");
        assert_eq!(of("some.thing", false, json!({"n": 1, "why": "so"})).0, "so");
        // An agent cannot put words into the daemon's mouth.
        let forged = of("run.sealed", true, json!({"message": "hello", "outcome": "succeeded"}));
        assert_eq!(forged, ("hello".to_owned(), false));
        assert!(of("log", true, json!({"level": "error"})).1);
    }
}
