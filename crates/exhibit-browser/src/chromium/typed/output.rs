//! Owns the cleaning of all that is told of a page: snapshots, facts, console, network traffic,
//! problems. It may take a while, and never does so on the async threads.

use std::cell::Cell;
use std::collections::HashSet;

use serde_json::Value;

use super::html::Withheld;
use super::{Hidden, Typed, Values, html, mhtml, pdf};
use crate::backend::{CaptureError, ConsoleLine, Download, PageFacts, Snapshots};
use crate::secret::REDACTED;
use crate::tasks::{CancelFlag, Tasks};
use exhibit_verify::blob::Blob;

/// What the browser says of an object of the accessibility tree, and of its place in it.
const OF_TREE: &[&str] =
    &["nodeId", "parentId", "childIds", "role", "type", "backendDOMNodeId", "frameId", "source"];
/// What this program says of a request.
const OF_ARCHIVE: &[&str] = &["startedDateTime", "version", "creator", "browser", "_resourceType"];

/// Takes values out of texts, for as long as somebody waits for them.
pub(super) struct Cleaner<'a> {
    pub(super) values: &'a Values,
    pub(super) asked: &'a CancelFlag,
}

impl Cleaner<'_> {
    /// `text` without the values; none when it has none of them.
    pub(super) fn cleaned(&self, text: &str) -> Option<String> {
        self.values.cleaned(text, self.asked)
    }

    /// Take the values out of `text`.
    fn clean(&self, text: &mut String) {
        if let Some(kept) = self.cleaned(text) {
            *text = kept;
        }
    }

    /// Take the values out of each text in `value`, but for what stands under the names `but`.
    /// Whether there were any.
    fn clean_value(&self, value: &mut Value, but: &[&str]) -> bool {
        match value {
            Value::String(text) => self.cleaned(text).map(|kept| *text = kept).is_some(),
            Value::Array(items) => {
                items.iter_mut().fold(false, |hit, item| self.clean_value(item, but) | hit)
            }
            Value::Object(fields) => {
                let told = fields.iter_mut().filter(|(name, _)| !but.contains(&name.as_str()));
                told.fold(false, |hit, (_, item)| self.clean_value(item, but) | hit)
            }
            _ => false,
        }
    }

    fn clean_facts(&self, facts: &mut PageFacts) {
        facts.texts().for_each(|text| self.clean(text));
        if let Some(metadata) = &mut facts.metadata {
            self.clean_value(metadata, &[]);
        }
    }
}

/// What was seen of a page: facts, console, network traffic.
pub(in crate::chromium) type SeenOf = (PageFacts, Vec<ConsoleLine>, Value);

impl Values {
    /// Have `work` clean `told` of these values, off the async threads.
    ///
    /// # Errors
    /// When it broke: what was told is lost then, since it may hold a secret.
    async fn clean<T: Send + 'static>(
        self,
        tasks: &Tasks,
        mut told: T,
        work: impl FnOnce(&Cleaner<'_>, &mut T) + Send + 'static,
    ) -> Result<T, CaptureError> {
        if self.is_empty() {
            return Ok(told);
        }
        let cleaning = tasks.blocking(move |asked: &CancelFlag| {
            work(&Cleaner { values: &self, asked }, &mut told);
            told
        });
        let broken = |error| CaptureError::internal("taking secrets out of what was seen", error);
        cleaning.await.map_err(broken)
    }
}

impl Hidden {
    /// What is told of a page, without the secrets.
    ///
    /// # Errors
    /// When that broke.
    pub(in crate::chromium) async fn clean(
        self,
        told: Value,
        tasks: &Tasks,
    ) -> Result<Value, CaptureError> {
        let work = |cleaner: &Cleaner<'_>, told: &mut Value| {
            cleaner.clean_value(told, &[]);
        };
        self.values.clean(tasks, told, work).await
    }

    /// A printed document without the secrets in what it says and does not show.
    ///
    /// # Errors
    /// When that broke.
    pub(in crate::chromium) async fn clean_document(
        self,
        document: Blob,
        tasks: &Tasks,
    ) -> Result<Blob, CaptureError> {
        let work = |cleaner: &Cleaner<'_>,
                    (document, broken): &mut (Blob, Option<std::io::Error>)| {
            let clean = |text: &str| cleaner.cleaned(text);
            match document.bytes().map(|bytes| pdf::cleaned(&bytes, &clean)) {
                Ok(None) => {}
                Ok(Some(kept)) => *document = kept.into(),
                Err(error) => *broken = Some(error),
            }
        };
        match self.values.clean(tasks, (document, None), work).await? {
            (document, None) => Ok(document),
            (_, Some(error)) => Err(CaptureError::internal("reading the document", error)),
        }
    }

    /// `snapshots` without the secrets. One that cannot be searched through is not kept.
    pub(in crate::chromium) async fn clean_snapshots(
        self,
        snapshots: Snapshots,
        tasks: &Tasks,
    ) -> Snapshots {
        if self.values.is_empty() && self.short.is_empty() {
            return snapshots;
        }
        if self.values.is_over() {
            return Snapshots::default();
        }
        let cleaning = tasks.blocking(move |asked: &CancelFlag| self.cleaned(snapshots, asked));
        // Snapshots that cannot be cleaned are not kept.
        cleaning.await.unwrap_or_default()
    }

    fn cleaned(&self, mut snapshots: Snapshots, asked: &CancelFlag) -> Snapshots {
        let cleaner = Cleaner { values: &self.values, asked };
        snapshots.mhtml = snapshots.mhtml.and_then(|page| {
            let withheld = Cell::new(false);
            let clean = |text: &str| {
                let kept = self.cleaned_text(&cleaner, text);
                kept.unwrap_or_else(|Withheld| {
                    withheld.set(true);
                    Some(String::new())
                })
            };
            let kept = mhtml::cleaned(&page, &clean);
            (!withheld.get()).then(|| kept.unwrap_or(page))
        });
        snapshots.dom = snapshots.dom.and_then(|document| {
            let kept = self.cleaned_text(&cleaner, &String::from_utf8_lossy(&document)).ok()?;
            Some(kept.map_or(document, String::into_bytes))
        });
        snapshots.accessibility = snapshots.accessibility.and_then(|tree| {
            let kept = self.cleaned_tree(&cleaner, &tree).ok()?;
            Some(kept.unwrap_or(tree))
        });
        if asked.is_over() { Snapshots::default() } else { snapshots }
    }

    fn cleaned_text(&self, cleaner: &Cleaner<'_>, text: &str) -> Result<Option<String>, Withheld> {
        let kept = cleaner.cleaned(text);
        if self.short.is_empty() {
            return Ok(kept);
        }
        let without = html::cleaned(kept.as_deref().unwrap_or(text), &self.short, cleaner.asked)?;
        Ok(without.or(kept))
    }

    fn cleaned_tree(
        &self,
        cleaner: &Cleaner<'_>,
        bytes: &[u8],
    ) -> Result<Option<Vec<u8>>, Withheld> {
        let mut tree: Value = serde_json::from_slice(bytes).map_err(|_| Withheld)?;
        let mut hit = false;
        let mut inside: HashSet<String> = HashSet::new();
        for node in tree["nodes"].as_array_mut().ok_or(Withheld)? {
            hit |= cleaner.clean_value(node, OF_TREE);
            // A field of numbers tells its value as one.
            let number = node["value"]["value"].is_number();
            if number && cleaner.cleaned(&node["value"]["value"].to_string()).is_some() {
                node["value"]["value"] = REDACTED.into();
                hit = true;
            }
            let own = node["backendDOMNodeId"].as_u64().is_some_and(|id| self.nodes.contains(&id));
            // Parents come before their children.
            if own || node["nodeId"].as_str().is_some_and(|id| inside.contains(id)) {
                let children = node["childIds"].as_array().into_iter().flatten();
                inside.extend(children.filter_map(|id| id.as_str().map(str::to_owned)));
                let told = if own { "value" } else { "name" };
                if !node[told]["value"].is_null() {
                    node[told]["value"] = REDACTED.into();
                    hit = true;
                }
            }
        }
        Ok(hit.then(|| tree.to_string().into_bytes()))
    }
}

impl Typed {
    /// What was seen of a page, without the secrets.
    ///
    /// # Errors
    /// When that broke.
    pub(in crate::chromium) async fn clean_seen(
        &self,
        seen: SeenOf,
        tasks: &Tasks,
    ) -> Result<SeenOf, CaptureError> {
        let work = |cleaner: &Cleaner<'_>, (facts, console, network): &mut SeenOf| {
            cleaner.clean_facts(facts);
            for line in console {
                cleaner.clean(&mut line.text);
                line.url.iter_mut().for_each(|url| cleaner.clean(url));
            }
            cleaner.clean_value(network, OF_ARCHIVE);
        };
        self.values().clean(tasks, seen, work).await
    }

    /// Downloads without the secrets.
    ///
    /// # Errors
    /// When that broke.
    pub(in crate::chromium) async fn clean_downloads(
        &self,
        downloads: Vec<Download>,
        tasks: &Tasks,
    ) -> Result<Vec<Download>, CaptureError> {
        let facts = PageFacts { downloads, ..PageFacts::default() };
        let (facts, ..) = self.clean_seen((facts, Vec::new(), Value::Null), tasks).await?;
        Ok(facts.downloads)
    }

    /// `value` without the secrets, but for what stands under the names `but`.
    ///
    /// # Errors
    /// When that broke.
    pub(in crate::chromium) async fn clean_value(
        &self,
        value: Value,
        but: &'static [&'static str],
        tasks: &Tasks,
    ) -> Result<Value, CaptureError> {
        let work = move |cleaner: &Cleaner<'_>, value: &mut Value| {
            cleaner.clean_value(value, but);
        };
        self.values().clean(tasks, value, work).await
    }

    /// `text` without the secrets, or nothing but a mark.
    pub(in crate::chromium) async fn cleaned(&self, text: String, tasks: &Tasks) -> String {
        let work = |cleaner: &Cleaner<'_>, text: &mut String| cleaner.clean(text);
        self.values().clean(tasks, text, work).await.unwrap_or_else(|_| REDACTED.to_owned())
    }

    /// A failure as it is told, without the secrets: the problem, and what had been seen until then.
    pub(in crate::chromium) async fn cleaned_failure(
        &self,
        problem: CaptureError,
        facts: PageFacts,
        tasks: &Tasks,
    ) -> (CaptureError, PageFacts) {
        let work = |cleaner: &Cleaner<'_>, (message, hint, facts): &mut Words| {
            cleaner.clean(message);
            if let Some(hint) = hint {
                cleaner.clean(hint);
            }
            cleaner.clean_facts(facts);
        };
        let words = (problem.message.clone(), problem.hint.clone(), facts);
        match self.values().clean(tasks, words, work).await {
            Ok((message, hint, facts)) => (CaptureError { message, hint, ..problem }, facts),
            Err(broken) => (broken, PageFacts::default()),
        }
    }

    /// `problem` without the secrets.
    pub(in crate::chromium) async fn cleaned_problem(
        &self,
        problem: CaptureError,
        tasks: &Tasks,
    ) -> CaptureError {
        self.cleaned_failure(problem, PageFacts::default(), tasks).await.0
    }
}

/// The words of a failure.
type Words = (String, Option<String>, PageFacts);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::Instant;

    use super::super::Field;
    use super::*;

    #[test]
    fn a_tree_is_cleaned_but_for_its_own_numbers() {
        let mut values = Values::default();
        values.add("1234");
        let cleaner = Cleaner { values: &values, asked: &CancelFlag::default() };
        let mut tree = json!({ "id": "1234", "value": ["x1234", 1234], "deep": { "a": "1234" } });
        assert!(cleaner.clean_value(&mut tree, &["id"]));
        let kept =
            json!({ "id": "1234", "value": ["x[redacted]", 1234], "deep": { "a": "[redacted]" } });
        assert_eq!(tree, kept);
        assert!(!cleaner.clean_value(&mut json!("4321"), &[]));
    }

    /// A field with a short secret and so many objects in it.
    fn crowded(children: usize) -> (Hidden, Vec<u8>) {
        let ids: Vec<String> = (1..=children).map(|id| id.to_string()).collect();
        let child =
            |id: &String| json!({ "nodeId": id, "name": { "value": "xy" }, "childIds": [] });
        let field = json!({ "nodeId": "0", "backendDOMNodeId": 7, "childIds": ids });
        let nodes: Vec<Value> = std::iter::once(field).chain(ids.iter().map(child)).collect();
        let short = vec![Field { id: "pin".into(), name: String::new(), value: "xy".into() }];
        let hidden = Hidden { values: Values::default(), short, nodes: HashSet::from([7]) };
        (hidden, json!({ "nodes": nodes }).to_string().into_bytes())
    }

    #[test]
    fn a_field_with_very_much_in_it_costs_no_square_of_it() {
        let asked = CancelFlag::default();
        let values = Values::default();
        let cleaner = Cleaner { values: &values, asked: &asked };
        let (hidden, tree) = crowded(40_000);
        let begun = Instant::now();
        let kept = hidden.cleaned_tree(&cleaner, &tree).expect("searched").expect("cleaned");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(!String::from_utf8_lossy(&kept).contains("\"xy\""));
    }

    #[test]
    fn snapshots_that_cannot_be_searched_through_are_not_kept() {
        let (hidden, tree) = crowded(1);
        let snapshots = Snapshots {
            mhtml: Some([b"A: b\r\n\r\n".to_vec(), b"<a b".repeat(30_000)].concat()),
            dom: Some(b"<a b".repeat(30_000)),
            accessibility: Some(tree),
        };
        let kept = hidden.cleaned(snapshots.clone(), &CancelFlag::default());
        assert!(kept.dom.is_none() && kept.mhtml.is_none() && kept.accessibility.is_some());
        let kept = hidden.cleaned(snapshots, &CancelFlag::over());
        assert!(kept.accessibility.is_none(), "nobody waits for it");
    }
}
