//! Owns the schemas that the OpenAPI document refers to: what is answered (answers.json), and the
//! parts of bodies that are more than a list of fields.

use serde_json::{Value, json};

use super::field::{Field, object};
use super::fields::{EVERY_STEP, FILM_STEP, HIGHLIGHT, STEPS};
use super::runs::EVENT;
use crate::error::Code;

/// The schemas of what is answered.
const ANSWERS: &str = include_str!("answers.json");

/// Every schema that is referred to.
pub(super) fn components() -> Value {
    let mut schemas: Value = serde_json::from_str(ANSWERS).unwrap_or_default();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    schemas["Error"]["properties"]["code"]["enum"] = json!(codes);
    schemas["Cookie"] = cookie();
    schemas["Event"] = event();
    let steps = STEPS.iter().map(|one| step(one, &[]));
    schemas["Step"] = json!({ "oneOf": steps.collect::<Vec<_>>() });
    let outputs = ["screenshot", "pdf", "diff"];
    let filmed = STEPS.iter().filter(|(action, ..)| !outputs.contains(action));
    let filmed = filmed.chain([&HIGHLIGHT]).map(|one| step(one, FILM_STEP));
    schemas["FilmStep"] = json!({ "oneOf": filmed.collect::<Vec<_>>() });
    schemas
}

fn cookie() -> Value {
    json!({
        "type": "object",
        "required": ["name", "value", "domain"],
        "properties": {
            "name": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$" },
            "value": { "type": "string", "pattern": "^[A-Za-z0-9_.-]{0,1000}$",
                       "description": "a secret" },
            "domain": { "type": "string", "maxLength": 255, "minLength": 1 },
            "path": { "type": "string", "pattern": "^/[A-Za-z0-9/]{0,100}$" },
            "url": { "type": "string", "format": "uri", "pattern": "^https?://" },
            "secure": { "type": "boolean" },
            "httpOnly": { "type": "boolean" },
            "sameSite": { "type": "string", "enum": [
                "Strict", "Lax", "None", "strict", "lax", "no_restriction", "unspecified",
            ] },
            "expires": { "type": "number", "minimum": -1, "maximum": 100_000_000_000_i64 },
            "expirationDate": { "type": "number", "minimum": -1, "maximum": 100_000_000_000_i64 },
        },
    })
}

fn event() -> Value {
    let mut schema = object(EVENT);
    schema["properties"]["kind"]["pattern"] = json!("^[a-z0-9-]+$");
    schema["anyOf"] = json!([{ "required": ["message"] }, { "required": ["data"] }]);
    schema
}

fn step(&(action, needs, fields): &(&str, &[&str], &[Field]), more: &[Field]) -> Value {
    let own: Vec<Field> = fields.iter().chain(EVERY_STEP).chain(more).copied().collect();
    let mut schema = object(&own);
    schema["properties"]["action"] = json!({ "const": action });
    let mut required = vec!["action"];
    required.extend(needs);
    schema["required"] = json!(required);
    schema
}
