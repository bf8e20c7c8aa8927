//! Owns the reading of a request for a recording: `POST /video`, with the hosted API's steps, and
//! `POST /runs/{id}/recordings`, for a session's page.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::sequence::{self, VIDEO};
use super::{SequenceRequest, page, stored};
use crate::error::{Code, Problem};
use crate::id::SessionId;
use crate::video::Format;

/// Fields that would draw into the recording, or speak over it: accepted and listed.
const DECORATION: &[&str] =
    &["cursor", "clickEffect", "zoom", "autoZoom", "pace", "frame", "background", "audioGuide"];

/// A recording of steps that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoRequest {
    /// The steps, and the page they are taken in.
    pub sequence: SequenceRequest,
    /// Most pictures a second.
    pub frame_rate: u32,
    /// What is handed out.
    pub format: Format,
    /// Whether the answer is JSON with base64 instead of the bytes themselves.
    pub json: bool,
    /// Whether the answer comes at once, and the recording later.
    pub asynchronous: bool,
}

impl VideoRequest {
    /// Read the body of `POST /video`.
    ///
    /// # Errors
    /// Every problem found, as one: the first with its field, the others in the hint.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(with_values(body)?)?;
        let request = read(&mut fields);
        fields.refuse_leftovers();
        fields.finish(request)
    }
}

/// The body with its variables replaced by their values.
fn with_values(mut body: Value) -> Result<Value, Problem> {
    let variables = body.as_object_mut().map(stored::take_variables).transpose()?.flatten();
    match variables {
        None => Ok(body),
        Some(variables) => stored::with_variables(body, &variables),
    }
}

fn read(fields: &mut Fields) -> Option<VideoRequest> {
    let formats = [("mp4", Format::Mp4), ("webm", Format::Webm), ("gif", Format::Gif)];
    let format = fields.choice("format", &formats).unwrap_or(Format::Mp4);
    let frame_rate = fields.int("framerate", 1..=60).unwrap_or(30);
    let json = page::json(fields);
    let asynchronous = fields.flag("async").unwrap_or(false);
    let mut decoration = Vec::new();
    for name in DECORATION {
        if fields.value(name).is_some() {
            decoration.push((*name).to_owned());
        }
    }
    let mut sequence = sequence::rest(fields, &VIDEO, true)?;
    sequence.ignored.extend(decoration);
    Some(VideoRequest { sequence, frame_rate, format, json, asynchronous })
}

/// A recording of a session's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingRequest {
    /// The session.
    pub session: SessionId,
    /// Most pictures a second.
    pub frame_rate: u32,
}

impl RecordingRequest {
    /// Read the body of `POST /runs/{id}/recordings`.
    ///
    /// # Errors
    /// Every problem found, as one.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let frame_rate = fields.int("framerate", 1..=60).unwrap_or(25);
        let session = if fields.has("session_id") {
            page::session(&mut fields)
        } else {
            let message = "`session_id` is missing; give the session whose page is to be recorded";
            fields.problem(Problem::new(Code::MissingField, message).field("session_id"))
        };
        fields.refuse_leftovers();
        fields.finish(session.map(|session| Self { session, frame_rate }))
    }
}

/// The body of `POST /runs/{id}/recordings/{recording}/stop`: nothing.
///
/// # Errors
/// `unknown_field` for anything in it.
pub fn read_stop(body: Value) -> Result<(), Problem> {
    let mut fields = Fields::of(match body {
        Value::Null => Value::Object(Map::new()),
        other => other,
    })?;
    fields.refuse_leftovers();
    fields.finish(Some(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_recording_is_read_with_what_is_said_and_what_is_not_drawn() {
        let body = json!({
            "steps": [
                { "action": "navigate", "url": "{{base}}/refund", "note": "Open the refund" },
                { "action": "fill", "selector": "#amount", "value": "48.50", "pauseAfter": 300 },
                { "action": "highlight", "selector": "#pay", "label": "Here", "color": "#ff0000" },
                { "action": "wait", "ms": 500, "live": true },
            ],
            "variables": { "base": "http://a.example" }, "cursor": { "visible": true },
            "framerate": 15, "async": true,
        });
        let request = VideoRequest::read(body).expect("sound");
        assert_eq!((request.frame_rate, request.asynchronous), (15, true));
        let steps = &request.sequence.steps;
        assert_eq!(steps[0].note.as_deref(), Some("Open the refund"));
        assert_eq!(steps[1].pause_after.as_millis(), 300);
        assert_eq!(steps[2].note.as_deref(), Some("Here"));
        assert!(request.sequence.page.blocking.banners, "the hosted API's default");
        assert_eq!(request.sequence.ignored, ["steps[2].color", "steps[3].live", "cursor"]);
    }

    #[test]
    fn limits_hold_just_inside_and_just_outside() {
        let shot = json!({ "action": "wait", "ms": 1 });
        let with = |fields: Value| {
            let mut body = json!({ "steps": [shot] });
            body.as_object_mut()
                .expect("an object")
                .extend(fields.as_object().cloned().expect("too"));
            VideoRequest::read(body)
        };
        with(json!({ "framerate": 60 })).expect("inside");
        with(json!({ "steps": vec![shot.clone(); 50] })).expect("inside");
        for (fields, field) in [
            (json!({ "framerate": 0 }), "framerate"),
            (json!({ "framerate": 61 }), "framerate"),
            (json!({ "steps": vec![shot.clone(); 51] }), "steps"),
            (json!({ "steps": [] }), "steps"),
            (json!({ "format": "avi" }), "format"),
            (json!({ "steps": [{ "action": "screenshot" }] }), "steps[0].action"),
            (json!({ "steps": [{ "action": "wait", "note": "x".repeat(201) }] }), "steps[0].note"),
            (json!({ "variables": [] }), "variables"),
        ] {
            let problem = with(fields).expect_err(field);
            assert_eq!((problem.code, problem.field.as_deref()), (Code::InvalidField, Some(field)));
        }
        let problem = RecordingRequest::read(json!({})).expect_err("no session");
        assert_eq!(problem.code, Code::MissingField);
    }
}
