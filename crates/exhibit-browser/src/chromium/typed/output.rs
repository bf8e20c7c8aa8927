//! Owns the cleaning of all that is told of a page: snapshots, facts, console, network traffic,
//! problems.

use serde_json::Value;

use super::{Hidden, Typed, Values, html, mhtml};
use crate::backend::{CaptureError, ConsoleLine, PageFacts, Snapshots};
use crate::secret::REDACTED;
use crate::tasks::Tasks;

/// What the browser says of an object of the accessibility tree, and of its place in it.
const OF_TREE: &[&str] =
    &["nodeId", "parentId", "childIds", "role", "type", "backendDOMNodeId", "frameId", "source"];
/// What this program says of a request.
const OF_ARCHIVE: &[&str] = &["startedDateTime", "version", "creator", "browser", "_resourceType"];

impl Hidden {
    /// Take the secrets out of what is told of a page.
    pub(in crate::chromium) fn clean(&self, told: &mut Value) {
        self.values.clean_value(told, &[]);
    }

    /// Take the secrets out of `snapshots`, which may take a while.
    pub(in crate::chromium) async fn clean_snapshots(
        self,
        snapshots: Snapshots,
        tasks: &Tasks,
    ) -> Snapshots {
        if self.values.is_empty() && self.short.is_empty() {
            return snapshots;
        }
        let cleaning = tasks.spawn_blocking(move || self.cleaned(snapshots));
        // Snapshots that cannot be cleaned are not kept.
        cleaning.await.unwrap_or_default()
    }

    fn cleaned(&self, mut snapshots: Snapshots) -> Snapshots {
        if let Some(page) = &mut snapshots.mhtml
            && let Some(kept) = mhtml::cleaned(page, &|text| self.cleaned_text(text))
        {
            *page = kept;
        }
        if let Some(document) = &mut snapshots.dom
            && let Some(kept) = self.cleaned_text(&String::from_utf8_lossy(document))
        {
            *document = kept.into_bytes();
        }
        if let Some(tree) = &mut snapshots.accessibility
            && let Some(kept) = self.cleaned_tree(tree)
        {
            *tree = kept;
        }
        snapshots
    }

    fn cleaned_text(&self, text: &str) -> Option<String> {
        let kept = self.values.cleaned(text);
        if self.short.is_empty() {
            return kept;
        }
        html::cleaned(kept.as_deref().unwrap_or(text), &self.short).or(kept)
    }

    fn cleaned_tree(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut tree: Value = serde_json::from_slice(bytes).ok()?;
        let mut hit = false;
        let mut inside: Vec<Value> = Vec::new();
        for node in tree["nodes"].as_array_mut()? {
            hit |= self.values.clean_value(node, OF_TREE);
            // A field of numbers tells its value as one.
            let number = node["value"]["value"].is_number();
            if number && self.values.cleaned(&node["value"]["value"].to_string()).is_some() {
                node["value"]["value"] = REDACTED.into();
                hit = true;
            }
            let own = node["backendDOMNodeId"].as_u64().is_some_and(|id| self.nodes.contains(&id));
            // Parents come before their children.
            if own || inside.contains(&node["nodeId"]) {
                inside.extend(node["childIds"].as_array().cloned().unwrap_or_default());
                let told = if own { "value" } else { "name" };
                if !node[told]["value"].is_null() {
                    node[told]["value"] = REDACTED.into();
                    hit = true;
                }
            }
        }
        hit.then(|| tree.to_string().into_bytes())
    }
}

impl Typed {
    /// Take the secrets out of what was seen of a page.
    pub(in crate::chromium) fn clean_seen(
        &self,
        facts: &mut PageFacts,
        console: &mut [ConsoleLine],
        network: &mut Value,
    ) {
        let values = self.values();
        if values.is_empty() {
            return;
        }
        clean_facts(&values, facts);
        for line in console {
            values.clean(&mut line.text);
            line.url.iter_mut().for_each(|url| values.clean(url));
        }
        values.clean_value(network, OF_ARCHIVE);
    }

    /// Take the secrets out of the facts of a page.
    pub(in crate::chromium) fn clean_facts(&self, facts: &mut PageFacts) {
        clean_facts(&self.values(), facts);
    }

    /// Take the secrets out of what is said of a page, but for what stands under the names `but`.
    pub(in crate::chromium) fn clean_value(&self, value: &mut Value, but: &[&str]) {
        self.values().clean_value(value, but);
    }

    /// `text` without the secrets.
    pub(in crate::chromium) fn cleaned(&self, mut text: String) -> String {
        self.values().clean(&mut text);
        text
    }

    /// `problem` without the secrets.
    pub(in crate::chromium) fn cleaned_problem(&self, mut problem: CaptureError) -> CaptureError {
        let values = self.values();
        values.clean(&mut problem.message);
        problem.hint.iter_mut().for_each(|hint| values.clean(hint));
        problem
    }
}

fn clean_facts(values: &Values, facts: &mut PageFacts) {
    facts.texts().for_each(|text| values.clean(text));
    if let Some(metadata) = &mut facts.metadata {
        values.clean_value(metadata, &[]);
    }
}
