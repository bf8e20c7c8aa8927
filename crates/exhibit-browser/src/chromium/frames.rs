//! Owns the frames within a page: which there are, in which session each is asked, and where in the
//! page's window each is shown. Frames of other sites may have processes, and so sessions, of their
//! own.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;

use super::page::Page;
use super::watcher::Line;

/// Most frames of a page that are told of.
const MOST: usize = 100;

/// A frame within a page that is shown.
#[derive(Debug)]
pub(super) struct Frame {
    /// The way to call it.
    pub(super) line: Line,
    /// Its id.
    pub(super) id: String,
    /// The address of a document that could not be loaded.
    pub(super) failed: Option<String>,
    /// Where it is shown.
    pub(super) area: Area,
}

/// Where something is shown in the page's window, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tree {
    frame_tree: Branch,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Branch {
    frame: Named,
    #[serde(default)]
    child_frames: Vec<Branch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    id: String,
    unreachable_url: Option<String>,
}

impl Branch {
    fn named(self, named: &mut Vec<Named>) {
        named.push(self.frame);
        self.child_frames.into_iter().for_each(|child| child.named(named));
    }
}

/// The frames within `page` that are shown, at most [`MOST`] of them.
pub(super) async fn within(page: &Page) -> Vec<Frame> {
    let mut found: Vec<Frame> = Vec::new();
    let mut parts = page.parts();
    // Sessions whose place in the window is known, with the corner of their outermost frame.
    let mut known = vec![(page.line(), (0.0, 0.0))];
    while let Some((line, corner)) = known.pop() {
        // The first is the outermost, which is known already.
        let inner = named(&line).await.into_iter().skip(1);
        let shown = inner.map(|one| shown_at(&line, one, corner));
        for (Named { id, unreachable_url: failed }, area) in
            join_all(shown).await.into_iter().flatten()
        {
            found.push(Frame { line: line.clone(), id, failed, area });
        }
        let mut elsewhere = Vec::new();
        for part in parts {
            let outermost = named(&part).await.into_iter().next();
            let shown = match outermost {
                Some(one) => shown_at(&line, one, corner).await,
                // A worker, which shows nothing.
                None => continue,
            };
            match shown {
                Some((Named { id, unreachable_url: failed }, area)) => {
                    known.push((part.clone(), (area.left, area.top)));
                    found.push(Frame { line: part, id, failed, area });
                }
                None => elsewhere.push(part),
            }
        }
        parts = elsewhere;
    }
    found.truncate(MOST);
    found
}

/// The frames of a session, the outermost first.
async fn named(line: &Line) -> Vec<Named> {
    let mut found = Vec::new();
    if let Ok(tree) = line.call::<Tree>("Page.getFrameTree", json!({})).await {
        tree.frame_tree.named(&mut found);
    }
    found.truncate(MOST);
    found
}

/// Where a frame is shown, by the session that holds its element, whose outermost frame has
/// this corner; none when it is not shown there.
async fn shown_at(line: &Line, one: Named, corner: (f64, f64)) -> Option<(Named, Area)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Owner {
        backend_node_id: i64,
    }
    #[derive(Deserialize)]
    struct Measured {
        model: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        /// Four corners, x and y each, clockwise from the upper left.
        content: [f64; 8],
    }
    let owner: Owner = line.call("DOM.getFrameOwner", json!({ "frameId": one.id })).await.ok()?;
    let node = json!({ "backendNodeId": owner.backend_node_id });
    let Measured { model } = line.call("DOM.getBoxModel", node).await.ok()?;
    let [left, top, _, _, right, bottom, ..] = model.content;
    let (width, height) = (right - left, bottom - top);
    let area = Area { left: left + corner.0, top: top + corner.1, width, height };
    (width > 0.0 && height > 0.0).then_some((one, area))
}
