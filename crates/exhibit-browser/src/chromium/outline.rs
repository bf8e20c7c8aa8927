//! Owns what is told of a page without a picture: its headings, elements, forms, links and images,
//! in the shapes of the hosted API's `/inspect` and `/observe`. Nothing typed into a field is told.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::aria;
use super::error::PageError;
use super::limits::PAGE_CALL;
use super::page::Page;
use super::script::World;
use crate::backend::ConsoleLine;
use crate::error::CaptureError;
use crate::markdown;
use crate::settings::{Observation, ObservationForm, presentable_text};

/// Looks at the document; see there for what it finds.
const LOOK: &str = include_str!("outline.js");
/// Console lines told.
const CONSOLE: usize = 200;
/// What fails when that of a page cannot be read.
const READING: &str = "reading the page's text";
/// Longest text of a page, in bytes of HTML.
const CONTENT: usize = 5_000_000;

/// What the script found.
#[derive(Debug, Deserialize)]
struct Found {
    title: String,
    url: String,
    lang: Option<String>,
    description: Option<String>,
    headings: Vec<Heading>,
    elements: Vec<Element>,
    forms: Vec<Form>,
    links: Value,
    images: Value,
    truncated: Value,
    hints: Hints,
}

#[derive(Debug, Deserialize)]
struct Heading {
    level: u32,
    text: String,
    selector: String,
}

#[derive(Debug, Deserialize)]
struct Element {
    tag: String,
    role: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    name: String,
    state: Vec<String>,
    selector: String,
    attributes: Value,
    href: Option<String>,
    rect: [f64; 4],
    /// Index of the form it belongs to, or -1.
    form: i64,
    secret: bool,
}

#[derive(Debug, Deserialize)]
struct Form {
    selector: String,
    method: String,
    action: String,
    fields: Vec<String>,
    text: String,
}

/// What tells the kind of page it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hints {
    passwords: u32,
    new_passwords: u32,
    searches: u32,
    fields: u32,
    article_words: u32,
}

async fn look(page: &Page, elements: u32) -> Result<Found, PageError> {
    let limits = json!({
        "elements": elements, "forms": 100, "headings": 300, "links": 1_000, "images": 500,
    });
    World::isolated(page).await?.call::<Found>(LOOK, &[limits], PAGE_CALL).await
}

/// What `/inspect` tells.
pub(super) async fn inspect(page: &Page, console: bool) -> Result<Value, PageError> {
    let found = look(page, 500).await?;
    let elements: Vec<Value> = found.elements.iter().map(Element::inspected).collect();
    let headings: Vec<Value> = found.headings.iter().map(Heading::inspected).collect();
    let forms: Vec<Value> = found.forms.iter().map(Form::inspected).collect();
    let mut told = json!({
        "title": found.title,
        "url": presentable_text(found.url),
        "metadata": {
            "description": found.description, "lang": found.lang, "httpStatusCode": status(page),
        },
        "headings": headings,
        "elements": elements,
        "forms": forms,
        "links": found.links,
        "images": found.images,
        "truncated": found.truncated,
    });
    if console {
        told["console"] = console_of(page);
    }
    Ok(told)
}

/// What `/observe` tells, but for the picture.
pub(super) async fn observe(page: &Page, wanted: &Observation) -> Result<Value, PageError> {
    let found = look(page, wanted.max_elements).await?;
    let mut told = Map::new();
    let mut set = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
    set("url", json!(presentable_text(found.url.clone())));
    set("title", json!(found.title));
    set("pageType", json!(page_type(&found)));
    set("metadata", json!({ "httpStatusCode": status(page) }));
    set("actions", actions(&found));
    match wanted.form {
        ObservationForm::Json => {
            let elements = found.elements.iter().enumerate();
            let elements = elements.map(|(at, element)| element.observed(at, wanted.rects));
            set("elements", elements.collect());
        }
        ObservationForm::FlatDomTree => {
            let lines = found.elements.iter().enumerate().map(|(at, element)| element.line(at));
            set("dom_text", json!(lines.collect::<Vec<_>>().join("\n")));
            let selectors = found.elements.iter().enumerate();
            let selectors =
                selectors.map(|(at, element)| ((at + 1).to_string(), json!(element.selector)));
            set("selectors", Value::Object(selectors.collect()));
        }
    }
    let forms = found.forms.iter().enumerate().map(|(at, form)| form.observed(at, &found.elements));
    set("forms", forms.collect());
    let headings = found.headings.iter();
    let headings =
        headings.map(|heading| json!({ "level": heading.level.max(1), "text": heading.text }));
    set("headings", headings.collect());
    if wanted.content {
        set("content", content(page).await?);
    }
    if wanted.aria_tree {
        set("ariaTree", json!(aria::tree(page).await?));
    }
    if wanted.console {
        set("console", console_of(page));
    }
    let told = Value::Object(told);
    // About four characters make a token of the usual language models.
    let tokens = told.to_string().chars().count().div_ceil(4);
    let mut told = told;
    told["stats"] = json!({ "elementCount": found.elements.len(), "estimatedTokens": tokens });
    Ok(told)
}

/// The state of the page as a sequence tells it after a step.
pub(super) async fn state(page: &Page) -> Result<Value, PageError> {
    let found = look(page, Observation::default().max_elements).await?;
    let elements = found.elements.iter().enumerate().map(|(at, element)| {
        json!({
            "id": id(at), "role": element.role, "name": element.name, "selector": element.selector,
        })
    });
    Ok(json!({
        "pageType": page_type(&found),
        "url": presentable_text(found.url.clone()),
        "elements": elements.collect::<Vec<_>>(),
        "actions": actions(&found),
    }))
}

fn id(at: usize) -> String {
    format!("e{}", at + 1)
}

fn status(page: &Page) -> Option<u16> {
    page.observed().facts.document.as_ref().map(|document| document.status)
}

impl Heading {
    fn inspected(&self) -> Value {
        json!({ "level": self.level, "text": self.text, "selector": self.selector })
    }
}

impl Element {
    fn inspected(&self) -> Value {
        let [x, y, width, height] = self.rect;
        json!({
            "tag": self.tag,
            "role": self.role,
            "text": self.name,
            "selector": self.selector,
            "attributes": self.attributes,
            "rect": { "x": x, "y": y, "width": width, "height": height },
        })
    }

    fn observed(&self, at: usize, rects: bool) -> Value {
        let mut told = json!({
            "id": id(at),
            "role": self.role,
            "type": self.kind,
            "name": self.name,
            "state": self.state,
            "selector": self.selector,
        });
        if let Some(href) = &self.href {
            told["href"] = json!(href);
        }
        if rects {
            let [x, y, w, h] = self.rect;
            told["rect"] = json!({ "x": x, "y": y, "w": w, "h": h });
        }
        told
    }

    /// `[3]<button disabled>Approve</button>`
    fn line(&self, at: usize) -> String {
        let mut head = self.tag.clone();
        if let Some(kind) = &self.kind {
            let _ = write!(head, " type={kind}");
        }
        if self.role != "generic" && self.role != self.tag {
            let _ = write!(head, " role={}", self.role);
        }
        for state in &self.state {
            head.push(' ');
            head.push_str(state);
        }
        format!("[{}]<{head}>{}</{}>", at + 1, self.name, self.tag)
    }

    fn is_button(&self) -> bool {
        self.role == "button"
    }
}

impl Form {
    fn inspected(&self) -> Value {
        json!({
            "selector": self.selector, "method": self.method, "action": self.action,
            "fields": self.fields,
        })
    }

    fn observed(&self, at: usize, elements: &[Element]) -> Value {
        json!({
            "selector": self.selector, "method": self.method, "action": self.action,
            "fieldIds": ids_in(at, elements),
        })
    }
}

/// The ids of the elements of the `at`th form.
fn ids_in(at: usize, elements: &[Element]) -> Vec<String> {
    let ours = |element: &Element| usize::try_from(element.form).is_ok_and(|form| form == at);
    let own = elements.iter().enumerate().filter(|(_, element)| ours(element));
    own.map(|(index, _)| id(index)).collect()
}

fn page_type(found: &Found) -> &'static str {
    let hints = &found.hints;
    if hints.new_passwords > 0 || hints.passwords > 1 {
        "signup"
    } else if hints.passwords == 1 {
        let says_so = |text: &str| {
            let text = text.to_lowercase();
            ["sign up", "register", "create account", "create an account"]
                .iter()
                .any(|word| text.contains(word))
        };
        let form = found.elements.iter().find(|element| element.secret).map(|field| field.form);
        let form = form.and_then(|at| found.forms.get(usize::try_from(at).ok()?));
        if form.is_some_and(|form| says_so(&form.text)) { "signup" } else { "login" }
    } else if hints.searches > 0 && hints.fields <= 2 && hints.article_words < 200 {
        "search"
    } else if hints.article_words >= 100 {
        "article"
    } else if hints.fields > 0 && !found.forms.is_empty() {
        "form"
    } else {
        "generic"
    }
}

/// What can be done: each form as one action with its fields, each other button as one.
fn actions(found: &Found) -> Value {
    let kind = page_type(found);
    let mut actions = Vec::new();
    for (at, form) in found.forms.iter().enumerate() {
        let ids = ids_in(at, &found.elements);
        if ids.is_empty() {
            continue;
        }
        let own = |element: &&Element| usize::try_from(element.form).is_ok_and(|form| form == at);
        let button = found.elements.iter().filter(own).find(|element| element.is_button());
        let secret = found.elements.iter().filter(own).any(|element| element.secret);
        let intent = match (kind, secret, button) {
            ("login" | "signup", true, _) => kind.to_owned(),
            ("search", ..) => "search".to_owned(),
            (_, _, Some(button)) if !button.name.is_empty() => format!("submit: {}", button.name),
            _ => format!("submit: {}", form.selector),
        };
        actions.push(json!({ "intent": intent, "elementIds": ids }));
    }
    let alone =
        |element: &Element| element.form < 0 && element.is_button() && !element.name.is_empty();
    for (at, element) in found.elements.iter().enumerate().filter(|(_, element)| alone(element)) {
        actions
            .push(json!({ "intent": format!("press: {}", element.name), "elementIds": [id(at)] }));
    }
    Value::Array(actions)
}

/// The page's own text, as Markdown.
async fn content(page: &Page) -> Result<Value, PageError> {
    const MAIN: &str = "() => {
        const main = document.querySelector('main, [role=main], article') || document.body;
        return main ? main.outerHTML : '';
    }";
    let mut html = World::isolated(page).await?.call::<String>(MAIN, &[], PAGE_CALL).await?;
    let end = html.floor_char_boundary(CONTENT);
    if end < html.len() {
        html.truncate(end);
        html.push('…');
    }
    let text = page.tasks().blocking(move |_| markdown::from_html(&html)).await;
    let text = text.map_err(|error| CaptureError::internal(READING, error))?;
    let text = text.map_err(|error| CaptureError::internal(READING, error))?;
    let words = text.split_whitespace().count();
    Ok(json!({ "markdown": text, "wordCount": words }))
}

/// The page's console, as the hosted API tells it.
fn console_of(page: &Page) -> Value {
    let seen = page.observed();
    let message = |line: &ConsoleLine| {
        json!({
            "type": line.level, "text": line.text,
            "location": { "url": line.url, "line": line.line },
        })
    };
    let messages: Vec<Value> = seen.console.iter().take(CONSOLE).map(message).collect();
    json!({ "messages": messages, "truncated": seen.console.len() > CONSOLE })
}
