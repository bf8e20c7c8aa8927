//! Owns the taking out of secrets from what a caller declares: when a run is opened, when it is sealed,
//! and of its code. What was taken out is told in the event that holds the rest.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Registry;
use crate::error::Problem;
use crate::redact::{Rule, redact};
use crate::run::{CodeReference, Ending, RunSpec};

impl Registry {
    /// What a caller declares of a run, without secrets, and what was taken out. The name of a workflow
    /// that is configured is the operator's; digests, commits and places in a trace are no secrets,
    /// whatever they look like.
    ///
    /// # Errors
    /// `internal_error` when what is left is no declaration.
    pub(super) fn spec_without_secrets(
        &self,
        mut spec: RunSpec,
    ) -> Result<(RunSpec, Option<Value>), Problem> {
        let config = self.0.context.config.borrow().clone();
        let configured = config.workflows.get(&spec.workflow).is_some();
        let workflow = configured.then(|| std::mem::take(&mut spec.workflow));
        let traceparent = spec.traceparent.take();
        let exact = spec.code.as_mut().map(Exact::take);
        let (mut spec, told) = without_secrets(&config.events.redact, spec)?;
        spec.workflow = workflow.unwrap_or(spec.workflow);
        spec.traceparent = traceparent;
        if let (Some(code), Some(exact)) = (&mut spec.code, exact) {
            exact.put_back(code);
        }
        Ok((spec, told))
    }

    /// What a caller says of code, without secrets, and what was taken out, by its place below `code`.
    ///
    /// # Errors
    /// As [`Registry::spec_without_secrets`].
    pub(super) async fn code_without_secrets(
        &self,
        mut code: CodeReference,
    ) -> Result<(CodeReference, Option<Value>), Problem> {
        let config = self.0.context.config.borrow().clone();
        self.0
            .context
            .blocking("taking out secrets", move || {
                let exact = Exact::take(&mut code);
                let named = Map::from_iter([("code".to_owned(), json!(code))]);
                let (mut named, told) = without_secrets(&config.events.redact, named)?;
                let code = named.remove("code").unwrap_or_default();
                let mut code: CodeReference = serde_json::from_value(code).map_err(unreadable)?;
                exact.put_back(&mut code);
                Ok((code, told))
            })
            .await
    }

    /// How a caller says that a run ended, without secrets.
    ///
    /// # Errors
    /// `internal_error` when that fails.
    pub(super) async fn ending_without_secrets(&self, ending: Ending) -> Result<Ending, Problem> {
        let config = self.0.context.config.borrow().clone();
        self.0
            .context
            .blocking("taking out secrets", move || {
                Ok(ending_without(&config.events.redact, ending))
            })
            .await
    }
}

fn ending_without(rules: &[Rule], mut ending: Ending) -> Ending {
    let texts = [("outcome", &mut ending.outcome), ("reason", &mut ending.reason)];
    let said = |(name, text): &(&str, &mut Option<String>)| {
        text.as_ref().map(|text| ((*name).to_owned(), json!(text)))
    };
    let mut map: Map<String, Value> = texts.iter().filter_map(said).collect();
    let told = redact(rules, &mut map, &[""]);
    for (name, text) in texts {
        *text = map.get(name).and_then(Value::as_str).map(str::to_owned);
    }
    Ending { redacted: told, ..ending }
}

/// What of a code reference is looked up by others as it is.
struct Exact {
    commit: Option<String>,
    sha256: Option<crate::digest::Digest>,
}

impl Exact {
    fn take(code: &mut CodeReference) -> Self {
        Self { commit: code.commit.take_if(|commit| is_commit(commit)), sha256: code.sha256.take() }
    }

    fn put_back(self, code: &mut CodeReference) {
        code.commit = self.commit.or(code.commit.take());
        code.sha256 = self.sha256;
    }
}

/// Whether a commit is one of a version control system's, and no text.
fn is_commit(commit: &str) -> bool {
    commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn without_secrets<T: Serialize + DeserializeOwned>(
    rules: &[Rule],
    declared: T,
) -> Result<(T, Option<Value>), Problem> {
    let Value::Object(mut map) = json!(declared) else { return Ok((declared, None)) };
    match redact(rules, &mut map, &["", "/code"]) {
        None => Ok((declared, None)),
        told => Ok((serde_json::from_value(Value::Object(map)).map_err(unreadable)?, told)),
    }
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::internal("taking out secrets", error)
}
