//! Owns the tables of docs/API.md that are made of the tables of fields and endpoints.

use std::fmt::Write as _;

use super::endpoints::{Answer, ENDPOINTS, Endpoint};
use super::field::{Field, Support};
use super::fields::{EVERY_STEP, STEPS};
use crate::error::Code;

/// The sections that are made here, by the name in their markers.
pub const SECTIONS: &[&str] = &["endpoints", "matrix", "fields", "steps", "codes"];

/// Endpoints of the hosted API in the columns of the matrix.
const COLUMNS: &[&str] = &[
    "/screenshot",
    "/pdf",
    "/og-image",
    "/inspect",
    "/observe",
    "/diff",
    "/sequence",
    "/sessions",
    "/sequences",
    "/sequences/import",
    "/video",
    "/act",
];

/// One of [`SECTIONS`].
pub fn section(name: &str) -> String {
    match name {
        "endpoints" => endpoints(),
        "matrix" => matrix(),
        "fields" => fields(),
        "steps" => steps(),
        "codes" => codes(),
        _ => String::new(),
    }
}

fn endpoints() -> String {
    let mut text = String::from("| method and path | what | answer |\n|---|---|---|\n");
    for endpoint in ENDPOINTS {
        let query = match endpoint.query {
            [] => String::new(),
            names => format!("?{}=", names.join("=&")),
        };
        let answer = match endpoint.answer {
            Answer::File(media_types) => format!("`{}`, or JSON", media_types.join("`, `")),
            Answer::Json(name) => format!("`{name}`"),
            Answer::Page => "`text/html`".to_owned(),
            Answer::Text => "`text/plain`".to_owned(),
            Answer::JsonOr(name, media_types) => {
                format!("`{name}` or `{}`", media_types.join("`, `"))
            }
            Answer::Bytes(media_type) => format!("`{media_type}`"),
            Answer::Nothing => "nothing".to_owned(),
            Answer::NotSupported => "`Error`".to_owned(),
        };
        let Endpoint { path, about, status, .. } = endpoint;
        let method = endpoint.method.to_uppercase();
        let _ = writeln!(text, "| {method} `{path}{query}` | {about} | {status} {answer} |");
    }
    text
}

fn matrix() -> String {
    let columns: Vec<&Endpoint> = COLUMNS
        .iter()
        .filter_map(|path| ENDPOINTS.iter().find(|one| one.path == *path && one.method == "post"))
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for endpoint in &columns {
        let own = endpoint.fields().map(|field| field.name).chain(endpoint.refused.iter().copied());
        for name in own {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let heads: Vec<&str> = columns.iter().map(|one| one.path.trim_start_matches('/')).collect();
    let mut text =
        format!("| field | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for name in names {
        let cells: Vec<&str> = columns.iter().map(|endpoint| cell(endpoint, name)).collect();
        let _ = writeln!(text, "| `{name}` | {} |", cells.join(" | "));
    }
    text
}

/// What becomes of a field at an endpoint.
fn cell(endpoint: &Endpoint, name: &str) -> &'static str {
    if endpoint.refused.contains(&name) {
        return "501";
    }
    let found = endpoint.fields().find(|field| field.name == name);
    found.map_or(Support::Refused, |field| field.support).word()
}

fn row(text: &mut String, field: &Field) {
    let default = match field.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let about = match field.support {
        Support::Alias => format!("another spelling of {}; that is put on record", field.about),
        Support::Ignored => format!("accepted and listed in `ignored`: {}", field.about),
        _ => field.about.to_owned(),
    };
    let _ = writeln!(text, "| `{}` | {} | {default} | {about} |", field.name, field.kind.words());
}

/// The fields of each endpoint that no endpoint before it has with the same meaning.
fn fields() -> String {
    let mut text = String::new();
    let mut told: Vec<(&str, String)> = Vec::new();
    for endpoint in ENDPOINTS {
        let new = |field: &&Field| !told.contains(&(field.name, field.kind.words()));
        let own: Vec<&Field> = endpoint.fields().filter(new).collect();
        if own.is_empty() {
            continue;
        }
        let _ = writeln!(text, "### `{}`\n", endpoint.path);
        let before = endpoint.fields().count() - own.len();
        if before > 0 {
            let _ = writeln!(
                text,
                "These, and {before} of those above (the table of all fields says which).\n"
            );
        }
        text.push_str("| field | values | default | what |\n|---|---|---|---|\n");
        for field in own {
            row(&mut text, field);
            told.push((field.name, field.kind.words()));
        }
        if !endpoint.needs.is_empty() {
            let _ = writeln!(text, "\nNeeded: `{}`.", endpoint.needs.join("`, `"));
        }
        if !endpoint.one_of.is_empty() {
            let _ = writeln!(text, "\nOne of `{}` is needed.", endpoint.one_of.join("`, `"));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn steps() -> String {
    let mut text = String::from("| `action` | needs | fields |\n|---|---|---|\n");
    let told = |fields: &[Field]| {
        let told = fields.iter().map(|field| format!("`{}` ({})", field.name, field.kind.words()));
        told.collect::<Vec<_>>().join("; ")
    };
    for (action, needs, fields) in STEPS {
        let needs: Vec<String> = needs.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "| `{action}` | {} | {} |", needs.join(", "), told(fields));
    }
    let _ = writeln!(text, "| every one | | {} |", told(EVERY_STEP));
    text
}

fn codes() -> String {
    let mut text = String::from("| code | status | exit | meaning |\n|---|---|---|---|\n");
    for code in Code::ALL {
        let (status, exit, about) = (code.status(), code.exit(), code.about().trim());
        let _ = writeln!(text, "| `{code}` | {status} | {exit} | {about} |");
    }
    text
}
