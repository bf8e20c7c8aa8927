//! What the tables say is what the readers do.

use serde_json::{Value, json};

use super::endpoints::{ENDPOINTS, Endpoint};
use super::field::{Field, Kind, Support};
use super::fields::STEPS;
use crate::error::{Code, Problem};
use crate::request::{
    ArchiveRequest, CodeRequest, ComparisonRequest, HoldRequest, ImportRequest, PurgeRequest,
    RecordingRequest, SealRequest, SequenceRequest, SessionRequest, StoredRequest, VideoRequest,
    read_inspect, read_observe, read_og_image, read_pdf, read_run_spec, read_screenshot, read_stop,
};

const SOME_RUN: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

/// What the reader of an endpoint says of a body; none for an endpoint that reads none of its own.
fn read(endpoint: &Endpoint, body: Value) -> Option<Result<(), Problem>> {
    Some(match endpoint.path {
        "/screenshot" => read_screenshot(body).map(drop),
        "/pdf" => read_pdf(body).map(drop),
        "/og-image" => read_og_image(body).map(drop),
        "/inspect" => read_inspect(body).map(drop),
        "/observe" => read_observe(body).map(drop),
        "/diff" => ComparisonRequest::read(body).map(drop),
        "/sequence" | "/run_sequence" => SequenceRequest::read(body).map(drop),
        "/video" => VideoRequest::read(body).map(drop),
        "/runs/{id}/recordings" => RecordingRequest::read(body).map(drop),
        "/runs/{id}/recordings/{recording}/stop" => read_stop(body),
        "/sessions" => SessionRequest::read(body).map(drop),
        "/sequences" => StoredRequest::read(body).map(drop),
        "/sequences/import" => ImportRequest::read(body).map(drop),
        "/runs" => read_run_spec(body).map(drop),
        "/runs/{id}/code" => CodeRequest::read(body).map(drop),
        "/holds" | "/holds/release" => HoldRequest::read(body).map(drop),
        "/archives" => ArchiveRequest::read(body).map(drop),
        "/archives/restore" => ArchiveRequest::read_restore(body).map(drop),
        "/purges" => PurgeRequest::read(body).map(drop),
        "/runs/{id}/seal" => SealRequest::read(body).map(drop),
        _ => return None,
    })
}

/// The least that an endpoint accepts.
fn least(endpoint: &Endpoint) -> Value {
    let steps = json!([{ "action": "screenshot" }]);
    match endpoint.path {
        "/diff" => json!({ "url_a": "http://a.example/", "url_b": "http://a.example/" }),
        "/sequence" | "/run_sequence" => json!({ "steps": steps }),
        "/video" => json!({ "steps": [{ "action": "wait", "ms": 1 }] }),
        "/runs/{id}/recordings" => json!({ "session_id": "3f0e8f0a-94a5-4f4e-8d39-6a7c6a3c7f10" }),
        "/sequences" => json!({ "name": "n", "steps": steps }),
        "/sequences/import" => json!({ "trace": [{ "action": "click", "target": "#a" }] }),
        "/runs" => json!({ "workflow": "refund" }),
        "/runs/{id}/code" => json!({ "commit": "c0ffee" }),
        "/archives" | "/archives/restore" => json!({ "runs": [SOME_RUN] }),
        "/holds" | "/holds/release" | "/purges" => json!({ "runs": [SOME_RUN], "reason": "r" }),
        _ if endpoint.one_of.is_empty() => json!({}),
        _ => json!({ "url": "http://a.example/" }),
    }
}

/// The same of a list of runs.
fn runs(most: usize) -> (Vec<Value>, Vec<Value>) {
    let outside = vec![json!([]), json!(SOME_RUN), json!(["x"]), json!(vec![SOME_RUN; most + 1])];
    (vec![json!([SOME_RUN]), json!([SOME_RUN, SOME_RUN])], outside)
}

/// Values that are just inside of what a kind allows, and just outside.
fn edges(kind: Kind) -> (Vec<Value>, Vec<Value>) {
    let object = |fields: &[Field]| {
        let inside = fields.iter().filter_map(|field| {
            Some((field.name.to_owned(), edges(field.kind).0.into_iter().next()?))
        });
        Value::Object(inside.collect())
    };
    let cookie = json!({ "name": "a", "value": "b", "domain": "a.example", "sameSite": "lax" });
    match kind {
        Kind::Text(most) if most > 60_000 => (vec![json!("a")], vec![json!(1)]),
        Kind::Text(most) => {
            (vec![json!("a")], vec![json!("x".repeat(most + 1)), json!(1), json!(["a"])])
        }
        Kind::Address => (
            vec![json!("http://b.example/"), json!("https://b.example/x?y#z")],
            vec![json!("no address"), json!("file:///etc/passwd"), json!(7)],
        ),
        Kind::Color => (vec![json!("#abc"), json!("1f6feb")], vec![json!("red"), json!("#abcde")]),
        Kind::Int(least, most) => (
            vec![json!(least), json!(most), json!(f64::from(u32::try_from(most).unwrap_or(1)))],
            vec![json!(least - 1), json!(most + 1), json!("1"), json!(1.5)],
        ),
        Kind::Number(least, most) => (
            vec![json!(least), json!(most)],
            vec![json!(least - 0.01), json!(most * 1.001 + 0.01), json!("1")],
        ),
        Kind::Flag => (vec![json!(true), json!(false)], vec![json!("true"), json!(1)]),
        Kind::Choice(words) => {
            (words.iter().map(|word| json!(word)).collect(), vec![json!("neither"), json!(1)])
        }
        Kind::Texts(most) => (
            vec![json!([]), json!(["a"])],
            vec![json!("a"), json!([1]), json!([""]), json!(vec!["a"; most + 1])],
        ),
        Kind::Runs(most) => runs(most),
        Kind::Object(fields) => (vec![object(fields)], vec![json!([]), json!({ "unheard": 1 })]),
        Kind::Map => (vec![json!({}), json!({ "a": "b" })], vec![json!([])]),
        Kind::Objects(most, fields) => (
            vec![json!([object(fields)])],
            vec![json!({}), json!([1]), json!(vec![object(fields); most + 1])],
        ),
        Kind::Cookies(most) => (
            vec![json!([cookie]), json!([])],
            vec![
                json!("a=b"),
                json!(["a"]),
                json!(vec![cookie; most + 1]),
                json!([{ "name": "a" }]),
            ],
        ),
        Kind::Length => {
            (vec![json!("10mm"), json!(96)], vec![json!("10em"), json!(-1), json!(true)])
        }
        Kind::Margin => (
            vec![json!("1in"), json!({ "top": "10mm", "left": 20 })],
            vec![json!("wide"), json!({ "middle": "1in" })],
        ),
        Kind::Id => {
            (vec![json!("3f0e8f0a-94a5-4f4e-8d39-6a7c6a3c7f10")], vec![json!("x"), json!(1)])
        }
        Kind::Digest => (vec![json!("0".repeat(64))], vec![json!("0".repeat(63)), json!("g")]),
        Kind::Trace => {
            let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            (vec![json!(trace)], vec![json!(&trace[1..]), json!("x"), json!(1)])
        }
        Kind::Open(most) => {
            let many = (0..=most.min(10_000)).map(|at| (at.to_string(), json!(at)));
            (vec![json!({ "a": 1 })], vec![json!([]), Value::Object(many.collect())])
        }
        Kind::Steps => {
            let shot = json!({ "action": "screenshot" });
            (vec![json!([shot])], vec![json!([]), json!({}), json!(vec![shot; 101])])
        }
        Kind::Film => {
            let step = json!({ "action": "wait", "ms": 1, "note": "n" });
            (vec![json!([step])], vec![json!([]), json!({}), json!(vec![step; 51])])
        }
        Kind::Any => (vec![json!({ "a": 1 })], Vec::new()),
    }
}

/// Fields that exclude what the least body has.
fn without(endpoint: &Endpoint, field: &Field) -> Value {
    let mut body = least(endpoint);
    if endpoint.one_of.contains(&field.name) && field.name != "session_id" {
        body = json!({});
    }
    if let Some(side) = field.name.strip_prefix("html_").or(field.name.strip_prefix("url_")) {
        body.as_object_mut().expect("an object").remove(&format!("url_{side}"));
    }
    if field.name.starts_with("cookies") && endpoint.path == "/sessions" {
        body = json!({});
    }
    body
}

#[test]
fn every_name_in_a_path_is_a_parameter() {
    let paths = super::document()["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let named = operation["parameters"].as_array().into_iter().flatten();
            let named = named.filter(|one| one["in"] == "path").map(|one| one["name"].as_str());
            let wanted = path.split('{').skip(1).map(|rest| rest.split('}').next());
            assert!(named.eq(wanted), "{method} {path}");
        }
    }
}

#[test]
fn every_field_is_read_just_inside_its_limits_and_refused_just_outside() {
    let mut tried = 0;
    for endpoint in ENDPOINTS {
        let Some(sound) = read(endpoint, least(endpoint)) else { continue };
        sound.unwrap_or_else(|problem| panic!("{}: {problem}", endpoint.path));
        for field in endpoint.fields() {
            let (inside, outside) = edges(field.kind);
            for value in inside {
                let mut body = without(endpoint, field);
                body[field.name] = value.clone();
                if field.name == "expandScrollers" {
                    body["fullPage"] = json!(true);
                }
                if let Err(problem) = read(endpoint, body).expect("it reads") {
                    let shown = value.to_string();
                    // Kinds do not say everything: a preset, a type of resource, a paper, a language.
                    let narrower = ["viewportDevice", "blockResources", "format", "locale"]
                        .contains(&field.name);
                    assert!(narrower, "{} {} {shown}: {problem}", endpoint.path, field.name);
                }
                tried += 1;
            }
            for value in outside {
                if field.support == Support::Ignored && matches!(field.kind, Kind::Any) {
                    continue;
                }
                let mut body = without(endpoint, field);
                body[field.name] = value.clone();
                let shown = value.to_string().chars().take(60).collect::<String>();
                let Some(Err(problem)) = read(endpoint, body) else {
                    panic!("{} {} took {shown}", endpoint.path, field.name);
                };
                assert!(
                    problem.code.status() < 500 && problem.code != Code::UnknownField
                        || matches!(field.kind, Kind::Object(_) | Kind::Margin),
                    "{} {} {shown}: {problem}",
                    endpoint.path,
                    field.name
                );
                let named = problem.field.clone().unwrap_or_default();
                let meant = field.about.trim_matches('`');
                let about = named.starts_with(field.name)
                    || field.support == Support::Alias
                        && (named == meant || named.starts_with("viewport"));
                assert!(about, "{} {} {shown} is told as `{named}`", endpoint.path, field.name);
                tried += 1;
            }
        }
        let mut body = least(endpoint);
        body["unheardOf"] = json!(1);
        let problem = read(endpoint, body).expect("it reads").expect_err("unknown");
        assert_eq!(problem.code, Code::UnknownField, "{}", endpoint.path);
        for needed in endpoint.needs {
            let mut body = least(endpoint);
            body.as_object_mut().expect("an object").remove(*needed);
            let problem = read(endpoint, body).expect("it reads").expect_err("missing");
            assert_eq!(problem.code, Code::MissingField, "{} {needed}", endpoint.path);
        }
    }
    assert!(tried > 1_400, "only {tried} values were tried");
}

#[test]
fn every_step_is_read_as_the_table_says() {
    let sequence = ENDPOINTS.iter().find(|one| one.path == "/sequence").expect("there");
    for (action, needs, fields) in STEPS {
        let mut step = json!({ "action": action });
        for field in fields.iter().filter(|field| needs.contains(&field.name)) {
            step[field.name] = edges(field.kind).0.remove(0);
        }
        if *action == "diff" {
            step["html_b"] = json!("<p>");
        }
        let with = |step: &Value| {
            let steps = json!([step, { "action": "screenshot" }]);
            read(sequence, json!({ "steps": steps })).expect("it reads")
        };
        with(&step).unwrap_or_else(|problem| panic!("{action}: {problem}"));
        for need in *needs {
            let mut less = step.clone();
            less.as_object_mut().expect("an object").remove(*need);
            let problem = with(&less).expect_err(need);
            assert_eq!(problem.code, Code::MissingField, "{action} {need}");
        }
        for field in *fields {
            let (inside, outside) = edges(field.kind);
            for (value, sound) in
                inside.into_iter().map(|v| (v, true)).chain(outside.into_iter().map(|v| (v, false)))
            {
                let mut more = step.clone();
                if field.name == "url_b" {
                    more.as_object_mut().expect("an object").remove("html_b");
                }
                more[field.name] = value.clone();
                if field.name == "expandScrollers" {
                    more["fullPage"] = json!(true);
                }
                let told = with(&more);
                let narrower = *action == "pdf" && field.name == "format";
                assert!(
                    told.is_ok() == sound || narrower,
                    "{action} {} {}: {told:?}",
                    field.name,
                    value.to_string().chars().take(60).collect::<String>()
                );
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = super::document();
    let text = document.to_string();
    let mut references = 0;
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().expect("a name");
        assert!(!document["components"]["schemas"][name].is_null(), "{name} leads nowhere");
        references += 1;
    }
    assert!(references > 30, "{references}");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.contains_key("/api/v1/screenshot") && paths.len() > 25, "{}", paths.len());
}
