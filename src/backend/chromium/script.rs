//! Owns the running of our own small scripts in a page: in a world of their own, so that a page
//! which replaced `querySelector` or `setTimeout` cannot change what they see; and with values
//! passed as arguments, never pasted into source.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::load::Trouble;
use super::page::{Page, QUICK};
use super::pipe::CallError;
use crate::error::{Code, Problem};

/// Name of our world.
pub(super) const WORLD: &str = "exhibit";

/// A script world of the page's main frame. It ends with the document it was made for.
pub(super) struct World<'a> {
    page: &'a Page,
    /// The parameter of `Runtime.callFunctionOn` that names the world.
    place: (&'static str, Value),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    execution_context_id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    result: Returned,
    exception_details: Option<Thrown>,
}

#[derive(Deserialize)]
struct Returned {
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
struct Thrown {
    text: String,
    exception: Option<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    description: Option<String>,
}

impl<'a> World<'a> {
    /// A world of our own: it sees the document, and the page's scripts do not see it.
    pub(super) async fn isolated(page: &'a Page) -> Result<Self, Trouble> {
        let params = json!({ "frameId": page.main_frame(), "worldName": WORLD });
        let created = page.call_raw("Page.createIsolatedWorld", params, QUICK).await?;
        let created: Created = parse("Page.createIsolatedWorld", created.get())?;
        Ok(Self { page, place: ("executionContextId", json!(created.execution_context_id)) })
    }

    /// The page's own world: only for a page in which nothing has run yet.
    pub(super) async fn main(page: &'a Page) -> Result<Self, Trouble> {
        #[derive(Deserialize)]
        struct Evaluated {
            result: Handle,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Handle {
            object_id: String,
        }
        let params = json!({ "expression": "globalThis" });
        let evaluated = page.call_raw("Runtime.evaluate", params, QUICK).await?;
        let evaluated: Evaluated = parse("Runtime.evaluate", evaluated.get())?;
        Ok(Self { page, place: ("objectId", json!(evaluated.result.object_id)) })
    }

    /// Call `function` with `arguments` and wait for its value, or its promise's.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        function: &str,
        arguments: &[Value],
        limit: Duration,
    ) -> Result<T, Trouble> {
        let arguments: Vec<Value> =
            arguments.iter().map(|value| json!({ "value": value })).collect();
        let (place, world) = &self.place;
        let params = json!({
            "functionDeclaration": function,
            *place: world,
            "arguments": arguments,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let answer = self.page.call_raw("Runtime.callFunctionOn", params, limit).await?;
        let outcome: Outcome = parse("Runtime.callFunctionOn", answer.get())?;
        if let Some(thrown) = outcome.exception_details {
            let said = thrown.exception.and_then(|exception| exception.description);
            let message = format!("a script failed in the page: {}", said.unwrap_or(thrown.text));
            return Err(Problem::new(Code::NavigationFailed, message).into());
        }
        let value = serde_json::from_value(outcome.result.value);
        value.map_err(|source| malformed("Runtime.callFunctionOn", source).into())
    }
}

fn parse<T: DeserializeOwned>(method: &str, answer: &str) -> Result<T, CallError> {
    serde_json::from_str(answer).map_err(|source| malformed(method, source))
}

fn malformed(method: &str, source: serde_json::Error) -> CallError {
    CallError::Malformed { method: method.to_owned(), source }
}
