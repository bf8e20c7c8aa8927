//! Owns the snapshots beside what is taken of a page: its resources, its document, its
//! accessibility tree.

use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::limits::PAGE_CALL;
use super::look;
use super::page::Page;
use super::pipe::CallError;
use crate::backend::Snapshots;
use crate::error::CaptureError;

/// Why there are no snapshots of a page, or not all of them.
const UNSEARCHED: &str =
    "what stands in the page's fields for secrets could not be searched for in all of them";

/// Snapshots of the page, if they are wanted.
pub(super) async fn snapshots(page: &Page, wanted: bool) -> Result<Snapshots, PageError> {
    if !wanted {
        return Ok(Snapshots::default());
    }
    let (mhtml, dom, accessibility) = tokio::join!(mhtml(page), dom(page), accessibility(page));
    let snapshots = Snapshots {
        mhtml: kept("MHTML", mhtml)?,
        dom: kept("DOM", dom)?,
        accessibility: kept("accessibility tree", accessibility)?,
    };
    let had = snapshots.count();
    let kept = look::secrets(page).await?.clean_snapshots(snapshots, page.tasks()).await;
    if kept.count() < had {
        page.observed().facts.snapshots_withheld = Some(UNSEARCHED);
    }
    Ok(kept)
}

/// A snapshot that cannot be had is no reason to lose the picture; a dead page or browser is.
fn kept(what: &str, snapshot: Result<Vec<u8>, PageError>) -> Result<Option<Vec<u8>>, PageError> {
    match snapshot {
        Ok(bytes) => Ok(Some(bytes)),
        Err(PageError::Call(error @ (CallError::Closed | CallError::SessionGone))) => {
            Err(error.into())
        }
        Err(error) => {
            tracing::warn!(%error, "no {what} of the page");
            Ok(None)
        }
    }
}

async fn mhtml(page: &Page) -> Result<Vec<u8>, PageError> {
    #[derive(Deserialize)]
    struct Answer {
        data: String,
    }
    let params = json!({ "format": "mhtml" });
    let answer = page.call_raw("Page.captureSnapshot", params, PAGE_CALL).await?;
    let answer: Answer = read(answer.get())?;
    Ok(answer.data.into_bytes())
}

async fn dom(page: &Page) -> Result<Vec<u8>, PageError> {
    #[derive(Deserialize)]
    struct Document {
        root: Node,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Node {
        node_id: u64,
    }
    #[derive(Deserialize)]
    struct Outer {
        #[serde(rename = "outerHTML")]
        outer_html: String,
    }
    let document = page.call_raw("DOM.getDocument", json!({ "depth": 0 }), PAGE_CALL).await?;
    let document: Document = read(document.get())?;
    let params = json!({ "nodeId": document.root.node_id });
    let outer = page.call_raw("DOM.getOuterHTML", params, PAGE_CALL).await?;
    let outer: Outer = read(outer.get())?;
    Ok(outer.outer_html.into_bytes())
}

async fn accessibility(page: &Page) -> Result<Vec<u8>, PageError> {
    let tree = page.call_raw("Accessibility.getFullAXTree", json!({}), PAGE_CALL).await?;
    Ok(tree.get().as_bytes().to_vec())
}

fn read<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, CaptureError> {
    serde_json::from_str(answer)
        .map_err(|error| CaptureError::internal("reading the browser's answer", error))
}
