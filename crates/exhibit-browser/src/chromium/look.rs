//! Owns the look for secrets in a page: what stands in its fields for secrets, and in those of its frames.
//! Which fields these are is decided in the page by `typed.js`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::PageError;
use super::frames;
use super::injected::TYPED;
use super::limits::QUICK;
use super::page::Page;
use super::script::World;
use super::typed::{Field, Hidden};

/// What a frame tells of its secrets.
#[derive(Deserialize)]
#[serde(expecting = "struct Told")]
struct SecretsReport {
    /// Whether there are frames within.
    frames: bool,
    fields: Vec<Field>,
    /// Whether there are more than it tells.
    more: bool,
}

/// A call of `method` of the script in a page, whether or not it runs there already.
fn asking(method: &str) -> String {
    format!("(...all) => (globalThis.exhibitTyped || ({TYPED})()).{method}(...all)")
}

/// Look for what stands in the fields for secrets of `page` and of its frames, and remember it.
pub(super) async fn secrets(page: &Page) -> Result<Hidden, PageError> {
    let world = World::isolated(page).await?;
    let told: SecretsReport = world.call(&asking("look"), &[], QUICK).await?;
    let (mut fields, mut more) = (told.fields, told.more);
    if told.frames {
        let inner = frames::within(page).await;
        let looks = join_all(inner.into_iter().map(|frame| async move {
            let world = World::of_frame(frame.line, &frame.id).await.ok()?;
            world.call::<SecretsReport>(&asking("look"), &[], QUICK).await.ok()
        }));
        for told in looks.await.into_iter().flatten() {
            more |= told.more;
            fields.extend(told.fields);
        }
    }
    if more {
        page.typed().note_untold();
    }
    for field in &fields {
        page.typed().note(&field.value);
    }
    let short: Vec<Field> = fields.into_iter().filter(Field::is_short).collect();
    let nodes = if short.is_empty() { HashSet::new() } else { nodes(page, &world).await? };
    Ok(Hidden { values: page.typed().values(), short, nodes })
}

/// The browser's numbers for the fields of `page` with short secrets.
async fn nodes(page: &Page, world: &World) -> Result<HashSet<u64>, PageError> {
    // Two looks at one page may be under way, and each lets go of what is its own.
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    let group = format!("exhibit-short-{}", LOOKS.fetch_add(1, Ordering::Relaxed));
    let list = world.handle(&asking("short"), &group).await?;
    let params = json!({ "objectId": list, "ownProperties": true });
    let items = page.call_raw("Runtime.getProperties", params, QUICK).await?;
    let items: Value = serde_json::from_str(items.get()).unwrap_or_default();
    let items = items["result"].as_array().cloned().unwrap_or_default();
    let ids = items.iter().filter_map(|item| item["value"]["objectId"].as_str());
    let described =
        join_all(ids.map(|id| page.call_raw("DOM.describeNode", json!({ "objectId": id }), QUICK)));
    let described = described.await;
    let number = |answer: &str| {
        let answer: Value = serde_json::from_str(answer).ok()?;
        answer["node"]["backendNodeId"].as_u64()
    };
    let numbers = described.into_iter().flatten().filter_map(|answer| number(answer.get()));
    let numbers = numbers.collect();
    page.call_raw("Runtime.releaseObjectGroup", json!({ "objectGroup": group }), QUICK).await?;
    Ok(numbers)
}
