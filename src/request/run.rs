//! Owns the reading of requests about runs: opening one, adding events to it, sealing it.

use std::io;

use serde_json::{Map, Value, json};

use super::fields::{Fields, shortened};
use crate::error::{Code, Problem};
use crate::run::{Actor, CodeReference, Event, RunSpec};

/// Longest short text: names, ids, links.
const TEXT: usize = 2_000;
/// Longest message of an event.
const MESSAGE: usize = 64 * 1024;
/// Most events in one request.
const BATCH: usize = 1_000;
/// Longest declaration of a run, as JSON on one line. It stands in the first event, a line of the
/// chain, and may grow there when secrets are taken out.
const DECLARED: usize = 1 << 20;
/// Longest declaration as it stands in `run.json`, with a line for each value.
const RECORDED: usize = 4 << 20;

/// Read the body of `POST /runs`.
///
/// # Errors
/// Every problem found.
pub fn read_run_spec(body: Value) -> Result<RunSpec, Problem> {
    let mut fields = Fields::of(body)?;
    let spec = run_spec(&mut fields);
    fields.refuse_leftovers();
    let spec = fields.finish(spec)?;
    check_length(&spec)?;
    Ok(spec)
}

/// What is accepted here must fit into the first event and into the record when the run is sealed.
fn check_length(spec: &RunSpec) -> Result<(), Problem> {
    let mut length = Length { left: DECLARED };
    let mut recorded = Length { left: RECORDED };
    if serde_json::to_writer(&mut length, spec).is_ok()
        && serde_json::to_writer_pretty(&mut recorded, spec).is_ok()
    {
        return Ok(());
    }
    let message = format!(
        "`labels` makes the run's record too long: {DECLARED} bytes of JSON are allowed, {RECORDED} \
         with a line for each value; attach what is long as a file"
    );
    Err(Problem::new(Code::BodyTooLarge, message).field("labels"))
}

/// Counts what is written, and takes no more than what is left.
struct Length {
    left: usize,
}

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the form of what reads an object")]
fn run_spec(fields: &mut Fields) -> Option<RunSpec> {
    if !fields.has("workflow") {
        let message = "`workflow` is missing; name the kind of run, like \"refund\"";
        let problem = Problem::new(Code::MissingField, message).field("workflow");
        let _: Option<()> = fields.problem(problem);
    }
    let workflow = fields.filled_text("workflow", 100);
    let given = fields.list("controls", 100).unwrap_or_default();
    let control = |value| match value {
        Value::String(control) if (1..=100).contains(&control.len()) => Some(control),
        _ => None,
    };
    let controls = given.into_iter().map(control).collect::<Option<Vec<String>>>();
    if controls.is_none() {
        fields.wrong::<()>("controls", "not a list of short strings", "give [\"CC8.1\"]");
    }
    let labels = match fields.value("labels") {
        None => Map::new(),
        Some(Value::Object(labels)) if labels.len() <= 100 => labels,
        Some(_) => {
            fields.wrong::<()>("labels", "no object of at most 100", "give {\"name\": …}");
            Map::new()
        }
    };
    let spec = RunSpec {
        workflow: workflow.unwrap_or_default(),
        agent: fields.filled_text("agent", TEXT),
        principal: fields.filled_text("principal", TEXT),
        subject: fields.filled_text("subject", TEXT),
        controls: controls.unwrap_or_default(),
        code: fields.object("code", code_reference),
        labels,
        traceparent: traceparent(fields),
    };
    Some(spec)
}

#[expect(clippy::unnecessary_wraps, reason = "the form of what reads an object")]
fn code_reference(fields: &mut Fields) -> Option<CodeReference> {
    let sha256 = fields.text("sha256", 64);
    let sha256 = sha256.and_then(|text| match text.parse() {
        Ok(digest) => Some(digest),
        Err(_) => {
            fields.wrong("sha256", &shortened(&text), "give 64 lower-case hexadecimal digits")
        }
    });
    Some(CodeReference {
        repository: fields.filled_text("repository", TEXT),
        commit: fields.filled_text("commit", 100),
        path: fields.filled_text("path", TEXT),
        symbol: fields.filled_text("symbol", TEXT),
        sha256,
        reviewer: fields.filled_text("reviewer", TEXT),
        review: fields.filled_text("review", TEXT),
    })
}

/// The body of `POST /runs/{id}/code`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeRequest {
    /// What the caller says.
    pub code: CodeReference,
    /// A file in the run, by its attachment's name, whose hash is to be taken.
    pub attachment: Option<String>,
    /// A git work tree on the daemon's host that is to be looked at.
    pub work_tree: Option<String>,
}

impl CodeRequest {
    /// Read the body.
    ///
    /// # Errors
    /// Every problem found.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let request = Self {
            code: code_reference(&mut fields).unwrap_or_default(),
            attachment: fields.filled_text("attachment", 100),
            work_tree: fields.filled_text("work_tree", TEXT),
        };
        if request == Self::default() {
            let message = "nothing is said of the code; give `commit`, `attachment` or `work_tree`";
            let problem = Problem::new(Code::MissingField, message).field("commit");
            let _: Option<()> = fields.problem(problem);
        }
        if request.attachment.is_some() && request.work_tree.is_some() {
            let message = "`attachment` and `work_tree` are given; the file is one or the other";
            let problem = Problem::new(Code::ConflictingFields, message).field("work_tree");
            let _: Option<()> = fields.problem(problem);
        }
        fields.refuse_leftovers();
        fields.finish(Some(request))
    }
}

/// Read the body of `POST /runs/{id}/events`: one event or a list of them, at least one.
///
/// # Errors
/// Every problem found in the first event that has one.
pub fn read_events(body: Value) -> Result<Vec<Event>, Problem> {
    let bodies = match body {
        Value::Array(bodies) if bodies.is_empty() || bodies.len() > BATCH => {
            let message = format!("the list holds {} events; send 1 to {BATCH}", bodies.len());
            return Err(Problem::new(Code::InvalidField, message));
        }
        Value::Array(bodies) => bodies,
        one => vec![one],
    };
    bodies.into_iter().map(read_event).collect()
}

/// Read one event.
///
/// # Errors
/// Every problem found.
pub fn read_event(body: Value) -> Result<Event, Problem> {
    let mut fields = Fields::of(body)?;
    let event = event(&mut fields);
    fields.refuse_leftovers();
    fields.finish(event)
}

/// The place in a trace, as W3C Trace Context writes it: version, trace, parent and flags.
fn traceparent(fields: &mut Fields) -> Option<String> {
    let text = fields.filled_text("traceparent", 100)?;
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, length| {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.len() == length && part.bytes().all(digit)
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    match parts.as_slice() {
        [version, trace, parent, flags]
            if is_hex(version, 2)
                && *version != "ff"
                && is_hex(trace, 32)
                && !zero(trace)
                && is_hex(parent, 16)
                && !zero(parent)
                && is_hex(flags, 2) =>
        {
            Some(text)
        }
        _ => {
            let remedy = "give one of W3C Trace Context, like \
                          \"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"";
            fields.wrong("traceparent", &format!("`{}`", shortened(&text)), remedy)
        }
    }
}

/// An agent's event. Its kind may not look like one of the daemon's own, which carry a dot.
fn event(fields: &mut Fields) -> Option<Event> {
    let kind = fields.filled_text("kind", 60).unwrap_or_else(|| "log".to_owned());
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // All fields are read, so that none of them seems to be unknown.
    if !kind.chars().all(allowed) {
        let remedy = "give lower-case letters, digits and hyphens, like `decision`; words with a dot \
                      are the daemon's own";
        fields.wrong::<()>("kind", &format!("`{}`", shortened(&kind)), remedy);
    }
    let mut data = Map::new();
    let levels = ["trace", "debug", "info", "warn", "error"].map(|level| (level, level));
    if let Some(level) = fields.choice("level", &levels) {
        data.insert("level".to_owned(), json!(level));
    }
    if let Some(message) = fields.text("message", MESSAGE) {
        data.insert("message".to_owned(), json!(message));
    }
    if let Some(traceparent) = traceparent(fields) {
        data.insert("traceparent".to_owned(), json!(traceparent));
    }
    match fields.value("data") {
        None => {}
        Some(value @ Value::Object(_)) => {
            data.insert("data".to_owned(), value);
        }
        Some(_) => return fields.wrong("data", "not an object", "give {\"name\": …}"),
    }
    if data.is_empty() {
        let message = "an event needs `message` or `data`; give one";
        return fields.problem(Problem::new(Code::MissingField, message).field("message"));
    }
    Some(Event { actor: Actor::Agent, kind, data })
}

/// The body of `POST /runs/{id}/seal`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealRequest {
    /// What came of the run.
    pub outcome: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl SealRequest {
    /// Read the body.
    ///
    /// # Errors
    /// Every problem found.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let request = Self {
            outcome: fields.filled_text("outcome", 100),
            reason: fields.filled_text("reason", TEXT),
        };
        fields.refuse_leftovers();
        fields.finish(Some(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_needs_its_workflow_and_knows_its_fields() {
        let problem = read_run_spec(json!({"agent": "a"})).expect_err("no workflow");
        assert_eq!(problem.field.as_deref(), Some("workflow"));
        let problem =
            read_run_spec(json!({"workflow": "refund", "pricipal": "p"})).expect_err("unknown");
        assert!(problem.message.contains("did you mean `principal`"), "{problem}");
        let problem = read_run_spec(json!({"workflow": "refund", "code": {"sha256": "xyz"}}));
        assert_eq!(problem.expect_err("no digest").field.as_deref(), Some("code.sha256"));
        let spec = read_run_spec(json!({
            "workflow": "refund", "agent": "refund-bot", "controls": ["CC8.1"],
            "code": {"repository": "desk", "commit": "c0ffee"}, "labels": {"ticket": 7}
        }));
        assert_eq!(spec.expect("sound").code.expect("given").commit.as_deref(), Some("c0ffee"));
    }

    #[test]
    fn a_declaration_must_fit_into_the_record() {
        let deep = |levels: usize| {
            let zeros = json!(vec![0; 10_000]);
            (0..levels).fold(zeros, |inner, _| json!([inner]))
        };
        let labels = [("x".repeat(DECLARED).into(), true), (deep(95), false), (json!("x"), false)];
        for (label, alone) in labels {
            let spec = |count: usize| {
                let labels: Map<String, Value> =
                    (0..count).map(|index| (format!("l{index}"), label.clone())).collect();
                read_run_spec(json!({"workflow": "refund", "labels": labels}))
            };
            assert_eq!(spec(1).is_err(), alone, "one");
            if !label.is_string() {
                let problem = spec(3).expect_err("a line of 200 blanks for each");
                assert_eq!(
                    (problem.code, problem.field.as_deref()),
                    (Code::BodyTooLarge, Some("labels"))
                );
            }
        }
    }

    #[test]
    fn events_come_alone_or_in_a_batch() {
        let one = read_events(json!({"kind": "decision", "message": "approve"})).expect("sound");
        assert_eq!((one[0].actor, one[0].kind.as_str()), (Actor::Agent, "decision"));
        let two = read_events(json!([{"message": "a"}, {"data": {"n": 1}}])).expect("sound");
        assert_eq!(two.len(), 2);
        assert!(read_events(json!([])).is_err());
        assert!(read_events(json!({"kind": "log"})).is_err(), "says nothing");
    }

    #[test]
    fn a_place_in_a_trace_is_one_or_refused() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let read = |text: &str| read_event(json!({"message": "x", "traceparent": text}));
        assert!(read(&format!("00-{trace}-{parent}-01")).is_ok());
        let zeros = "0".repeat(32);
        for wrong in [
            "x".to_owned(),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{zeros}-{parent}-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{trace}-{parent}"),
            format!("00-{trace}-{parent}-01-00"),
        ] {
            let problem = read(&wrong).expect_err(&wrong);
            assert_eq!(problem.field.as_deref(), Some("traceparent"));
        }
    }

    #[test]
    fn an_agent_cannot_speak_as_the_daemon() {
        for kind in ["run.sealed", "capture.taken", "Log", "a b", "a\nb"] {
            let problem = read_events(json!({"kind": kind, "message": "x"})).expect_err(kind);
            assert_eq!(problem.field.as_deref(), Some("kind"));
        }
        assert!(read_events(json!({"message": "x", "actor": "exhibit"})).is_err());
    }
}
