//! Owns the description of the API that machines read: an OpenAPI 3.1 document, made of the tables
//! of fields and endpoints, of which docs/API.md is made, too. The readers in `request/` decide
//! what is accepted; tests hold the tables to them.

mod answers;
mod endpoints;
mod field;
mod fields;
mod markdown;
mod runs;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use self::endpoints::{Answer, Body, ENDPOINTS, Endpoint};
use self::field::object;
pub use self::markdown::{SECTIONS, section};

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(written)
}

fn written() -> Value {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths.entry(format!("/api/v1{}", endpoint.path)).or_insert_with(|| json!({}));
        path[endpoint.method] = operation(endpoint);
    }
    for (path, about) in [("/healthz", "Whether it is alive"), ("/readyz", "Whether it captures")] {
        let answer = json!({ "description": "yes", "content": { "application/json": {
            "schema": { "type": "object", "required": ["status"] },
        } } });
        let responses = json!({ "200": answer, "default": error() });
        paths.insert(
            path.to_owned(),
            json!({ "get": { "summary": about, "security": [], "responses": responses } }),
        );
    }
    paths.insert("/metrics".to_owned(), metrics());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Exhibit",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Captures what an agent did in a web application, as evidence. Requests \
                            of the hosted screenshot API are accepted unchanged; every path is \
                            below /v1, too.",
            "license": { "name": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "key": [] }, { "bearer": [] }, { "query": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
                "bearer": { "type": "http", "scheme": "bearer" },
                "query": { "type": "apiKey", "in": "query", "name": "api_key" },
            },
            "schemas": answers::components(),
        },
    })
}

fn metrics() -> Value {
    let text = json!({ "schema": { "type": "string" } });
    let answer = json!({
        "description": "OpenMetrics text 1.0",
        "content": { "application/openmetrics-text": text },
    });
    let about = "What was counted since the daemon started, and how things stand";
    json!({ "get": { "summary": about, "responses": { "200": answer, "default": error() } } })
}

fn operation(endpoint: &Endpoint) -> Value {
    let name = endpoint.path.replace(['/', '{', '}'], " ");
    let id: Vec<&str> = std::iter::once(endpoint.method).chain(name.split_whitespace()).collect();
    let mut operation = json!({
        "operationId": id.join("_"),
        "summary": endpoint.about,
        "parameters": parameters(endpoint),
        "responses": responses(endpoint),
    });
    if let Some((media_type, schema)) = request(endpoint) {
        let mut content = json!({ media_type: { "schema": schema } });
        if matches!(endpoint.body, Body::Events) {
            content["application/x-ndjson"] = json!({ "schema": { "type": "string" } });
        }
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

/// The parameters in `path`.
fn path_parameters(path: &str) -> impl Iterator<Item = Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    names.map(|(name, _)| {
        let schema = match name {
            "id" => json!({ "type": "string", "format": "uuid" }),
            "recording" => json!({ "type": "string", "pattern": "^[0-9]{4,9}$" }),
            "sha256" => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    })
}

fn parameters(endpoint: &Endpoint) -> Value {
    let mut parameters: Vec<Value> = path_parameters(endpoint.path).collect();
    for &name in endpoint.query {
        let schema = match name {
            "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
            "state" => {
                json!({ "type": "string", "enum": ["open", "sealed", "expired", "interrupted", "altered"] })
            }
            "verdict" => json!({ "type": "string", "enum": ["complete", "incomplete"] }),
            "before" => json!({ "type": "string", "format": "uuid" }),
            "mine" => json!({ "type": "boolean", "default": false }),
            "name" => json!({
                "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,91}$",
            }),
            _ => json!({ "type": "string" }),
        };
        let required = name == "name";
        let parameter =
            json!({ "name": name, "in": "query", "required": required, "schema": schema });
        parameters.push(parameter);
    }
    if endpoint.recorded {
        let headers = [
            (
                "X-Exhibit-Run",
                json!({ "type": "string", "format": "uuid" }),
                "the run it belongs to",
            ),
            (
                "X-Exhibit-Stage",
                json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,39}$" }),
                "the stage within it",
            ),
            (
                "X-Exhibit-Backend",
                json!({ "type": "string", "enum": ["chromium", "hosted"] }),
                "who takes it",
            ),
        ];
        for (name, schema, about) in headers {
            parameters.push(json!({
                "name": name, "in": "header", "required": false, "schema": schema,
                "description": about,
            }));
        }
    }
    Value::Array(parameters)
}

/// Media type and schema of the body.
fn request(endpoint: &Endpoint) -> Option<(&'static str, Value)> {
    let event = json!({ "$ref": "#/components/schemas/Event" });
    let schema = match endpoint.body {
        Body::None => return None,
        Body::Bytes => {
            return Some((
                "application/octet-stream",
                json!({ "type": "string", "format": "binary" }),
            ));
        }
        Body::Any => json!({ "type": "object" }),
        Body::Events => json!({ "oneOf": [event, {
            "type": "array", "items": event, "minItems": 1, "maxItems": 1000,
        }] }),
        Body::Capture => capture(),
        Body::Fields(_) => fields(endpoint),
    };
    Some(("application/json", schema))
}

/// The fields of an endpoint's body.
fn fields(endpoint: &Endpoint) -> Value {
    let fields: Vec<_> = endpoint.fields().copied().collect();
    let mut schema = object(&fields);
    if !endpoint.needs.is_empty() {
        schema["required"] = json!(endpoint.needs);
    }
    if !endpoint.one_of.is_empty() {
        let required = endpoint.one_of.iter().map(|name| json!({ "required": [name] }));
        schema["anyOf"] = required.collect();
    }
    if endpoint.path == "/diff" {
        let either = |url: &str, html: &str| json!({ "oneOf": [{ "required": [url] }, { "required": [html] }] });
        schema["allOf"] = json!([either("url_a", "html_a"), either("url_b", "html_b")]);
    }
    schema
}

/// The body of a capture in a run: that of any of these endpoints, and which.
fn capture() -> Value {
    let kinds = ["screenshot", "pdf", "og-image", "inspect", "observe"];
    let bodies = kinds.iter().filter_map(|kind| {
        let endpoint = ENDPOINTS.iter().find(|one| one.path.trim_start_matches('/') == *kind)?;
        let mut schema = fields(endpoint);
        schema["properties"]["type"] = json!({ "const": kind });
        if *kind != "screenshot" {
            let mut required = vec!["type"];
            required.extend(endpoint.needs);
            schema["required"] = json!(required);
        }
        Some(schema)
    });
    json!({ "oneOf": bodies.collect::<Vec<_>>() })
}

fn responses(endpoint: &Endpoint) -> Value {
    let json_of = |name: &str| {
        json!({ "application/json": {
            "schema": { "$ref": format!("#/components/schemas/{name}") },
        } })
    };
    let json_or = |name: &str, media_types: &[&str]| {
        let mut content = json_of(name);
        for media_type in media_types {
            content[*media_type] = json!({});
        }
        json!({ "description": "the file, or JSON with it", "content": content })
    };
    let mut response = match endpoint.answer {
        Answer::NotSupported => return json!({ "501": error(), "default": error() }),
        Answer::Nothing => json!({ "description": "done" }),
        Answer::Json(name) => json!({ "description": "done", "content": json_of(name) }),
        Answer::Page => {
            json!({ "description": "the page", "content": { "text/html": {} } })
        }
        Answer::Text => {
            json!({ "description": "the text", "content": { "text/plain": {} } })
        }
        Answer::Bytes(media_type) => {
            json!({ "description": "the bytes", "content": { media_type: {} } })
        }
        Answer::File(media_types) => json_or("CaptureResult", media_types),
        Answer::JsonOr(name, media_types) => json_or(name, media_types),
    };
    if endpoint.recorded {
        let text = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
        response["headers"] = json!({
            "X-Exhibit-Run": text("the run in which it is on record"),
            "X-Exhibit-Backend": text("who took it"),
        });
    }
    let mut responses = json!({ endpoint.status.to_string(): response, "default": error() });
    if endpoint.fields().any(|field| field.name == "async") {
        let queued = json!({ "description": "later", "content": json_of("JobQueued") });
        responses["202"] = queued;
    }
    responses
}

fn error() -> Value {
    json!({ "description": "refused or failed; the code says how", "content": { "application/json": {
        "schema": { "$ref": "#/components/schemas/Error" },
    } } })
}
