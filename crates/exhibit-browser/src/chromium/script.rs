//! Owns the running of our own small scripts in a page: in a world of their own, so that a page
//! which replaced `querySelector` or `setTimeout` cannot change what they see; and with values
//! passed as arguments, never pasted into source.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::cut::{SAID, cut};
use super::error::PageError;
use super::injected::WORLD;
use super::limits::QUICK;
use super::page::Page;
use super::pipe::CallError;
use super::watcher::Line;
use crate::error::{CaptureError, ErrorKind};

/// A script world of a frame. It ends with the document it was made for.
pub(super) struct World {
    line: Line,
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

/// A value that is kept in the page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handle {
    object_id: String,
}

impl World {
    /// A world of our own: it sees the document, and the page's scripts do not see it.
    pub(super) async fn isolated(page: &Page) -> Result<Self, PageError> {
        Self::of_frame(page.line(), page.main_frame()).await
    }

    /// The same of any frame, which is called by `line`.
    pub(super) async fn of_frame(line: Line, id: &str) -> Result<Self, PageError> {
        let params = json!({ "frameId": id, "worldName": WORLD });
        let created: Created = line.call("Page.createIsolatedWorld", params).await?;
        Ok(Self { line, place: ("executionContextId", json!(created.execution_context_id)) })
    }

    /// The page's own world: only for a page in which nothing has run yet.
    pub(super) async fn main(page: &Page) -> Result<Self, PageError> {
        #[derive(Deserialize)]
        struct Evaluated {
            result: Handle,
        }
        let params = json!({ "expression": "globalThis" });
        let evaluated = page.call_raw("Runtime.evaluate", params, QUICK).await?;
        let evaluated: Evaluated = parse("Runtime.evaluate", evaluated.get())?;
        let line = page.line();
        Ok(Self { line, place: ("objectId", json!(evaluated.result.object_id)) })
    }

    /// Call `function` with `arguments` and wait for its value, or its promise's.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        function: &str,
        arguments: &[Value],
        limit: Duration,
    ) -> Result<T, PageError> {
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
        let Line { connection, session } = &self.line;
        let answer = connection.call_raw(session, "Runtime.callFunctionOn", params, limit).await?;
        let outcome: Outcome = parse("Runtime.callFunctionOn", answer.get())?;
        if let Some(thrown) = outcome.exception_details {
            let said = thrown.exception.and_then(|exception| exception.description);
            let said = cut(said.unwrap_or(thrown.text), SAID);
            let message = format!("a script failed in the page: {said}");
            return Err(CaptureError::new(ErrorKind::NavigationFailed, message).into());
        }
        let value = serde_json::from_value(outcome.result.value);
        value.map_err(|source| malformed("Runtime.callFunctionOn", source).into())
    }
}

impl World {
    /// Call `function` and keep its value in the page, in `group`; the id of that value.
    pub(super) async fn handle(&self, function: &str, group: &str) -> Result<String, PageError> {
        #[derive(Deserialize)]
        struct Kept {
            result: Handle,
        }
        let (place, world) = &self.place;
        let params = json!({
            "functionDeclaration": function, *place: world, "objectGroup": group,
        });
        let kept: Kept = self.line.call("Runtime.callFunctionOn", params).await?;
        Ok(kept.result.object_id)
    }
}

/// Most nodes of closed shadows that are handed over.
const SHADOWS: usize = 500;
/// What a shadow is among nodes (DOM, `Node.nodeType`).
const FRAGMENT: u8 = 11;

impl World {
    /// Call `function` with nodes of all closed shadows of the document, which no script finds for
    /// itself. Where the browser does not tell them it is not called.
    pub(super) async fn know_closed_shadows(&self, function: &str) -> Result<(), PageError> {
        #[derive(Deserialize)]
        struct Told {
            documents: Vec<Document>,
            strings: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Document {
            nodes: Nodes,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Nodes {
            node_type: Vec<u8>,
            backend_node_id: Vec<i64>,
            shadow_root_type: Rare,
        }
        /// What few nodes have: their places, and each a place among the strings.
        #[derive(Deserialize)]
        struct Rare {
            index: Vec<usize>,
            value: Vec<usize>,
        }
        #[derive(Deserialize)]
        struct Resolved {
            object: Handle,
        }
        let ("executionContextId", context) = &self.place else { return Ok(()) };
        let params = json!({ "computedStyles": [] });
        let told: Told = match self.line.call("DOMSnapshot.captureSnapshot", params).await {
            Ok(told) => told,
            Err(error) => {
                tracing::debug!(%error, "the closed shadows of a page are not known");
                return Ok(());
            }
        };
        // The first is the page's own.
        let Some(Document { nodes }) = told.documents.into_iter().next() else { return Ok(()) };
        let kinds = nodes.shadow_root_type.index.iter().zip(&nodes.shadow_root_type.value);
        // The kind of the shadow that a node is in, and the shadow's own.
        let closed: Vec<usize> = kinds
            .filter(|(_, kind)| told.strings.get(**kind).is_some_and(|it| it == "closed"))
            .map(|(at, _)| *at)
            .collect();
        let is_shadow = |at: &usize| nodes.node_type.get(*at) == Some(&FRAGMENT);
        let shadows: Vec<usize> = closed.iter().copied().filter(is_shadow).collect();
        let closed = if shadows.is_empty() { closed } else { shadows };
        let closed = closed.iter().filter_map(|at| nodes.backend_node_id.get(*at)).take(SHADOWS);
        let resolving = closed.map(|node| {
            let params = json!({ "backendNodeId": node, "executionContextId": context });
            self.line.call::<Resolved>("DOM.resolveNode", params)
        });
        let found = join_all(resolving).await.into_iter().flatten();
        let arguments: Vec<Value> =
            found.map(|one| json!({ "objectId": one.object.object_id })).collect();
        let params = json!({
            "functionDeclaration": function,
            "executionContextId": context,
            "arguments": arguments,
        });
        self.line.call::<IgnoredAny>("Runtime.callFunctionOn", params).await?;
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(method: &str, answer: &str) -> Result<T, CallError> {
    serde_json::from_str(answer).map_err(|source| malformed(method, source))
}

fn malformed(method: &str, source: serde_json::Error) -> CallError {
    CallError::Malformed { method: method.to_owned(), source }
}
