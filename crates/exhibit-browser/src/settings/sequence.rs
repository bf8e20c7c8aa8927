//! Owns the settings of a sequence: steps taken one after the other in one page, as a person would
//! take them.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::{Picture, Product, Target, presentable};
use crate::secret::Secret;

/// A key that can be pressed: its DOM name and what it types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The hosted API's name, which is the DOM's `key` but for the space bar.
    pub name: &'static str,
    /// Windows virtual key code, which the DevTools protocol wants.
    pub code: u32,
    /// What pressing it types, if anything.
    pub text: &'static str,
}

/// Every key that can be pressed.
pub const KEYS: &[Key] = &[
    Key { name: "Escape", code: 27, text: "" },
    Key { name: "Enter", code: 13, text: "\r" },
    Key { name: "Tab", code: 9, text: "" },
    Key { name: "Backspace", code: 8, text: "" },
    Key { name: "Delete", code: 46, text: "" },
    Key { name: "Space", code: 32, text: " " },
    Key { name: "ArrowUp", code: 38, text: "" },
    Key { name: "ArrowDown", code: 40, text: "" },
    Key { name: "ArrowLeft", code: 37, text: "" },
    Key { name: "ArrowRight", code: 39, text: "" },
    Key { name: "Home", code: 36, text: "" },
    Key { name: "End", code: 35, text: "" },
    Key { name: "PageUp", code: 33, text: "" },
    Key { name: "PageDown", code: 34, text: "" },
];

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Go to a page.
    Navigate(Url),
    /// Click an element, once or twice.
    Click {
        /// CSS.
        selector: String,
        /// Clicks.
        count: u32,
    },
    /// Move the mouse over an element.
    Hover(String),
    /// Put a value into a field.
    Fill {
        /// CSS.
        selector: String,
        /// What is typed: a secret until the field is known to be none.
        value: Secret<String>,
    },
    /// Choose an option by its value or its text.
    Select {
        /// CSS.
        selector: String,
        /// The option.
        value: String,
    },
    /// Scroll an element into view, or by so many CSS pixels.
    Scroll {
        /// CSS.
        selector: Option<String>,
        /// To the right.
        x: f64,
        /// Down.
        y: f64,
    },
    /// Wait for so long.
    Wait(Duration),
    /// Wait until a selector matches.
    WaitFor {
        /// CSS.
        selector: String,
        /// At most.
        timeout: Duration,
    },
    /// Run a script in the page.
    Evaluate(String),
    /// Press a key, in an element or wherever the focus is.
    PressKey {
        /// The key.
        key: Key,
        /// CSS.
        selector: Option<String>,
    },
    /// Compare the page as it stands with another one: an output.
    Compare {
        /// Its name.
        name: String,
        /// What of both is compared.
        picture: Picture,
        /// The other page.
        other: Target,
        /// How different a pixel's colour must be to count as changed, 0 to 1.
        threshold: f64,
        /// Pause before.
        delay: Duration,
    },
    /// Capture the page as it stands: an output.
    Output {
        /// Its name.
        name: String,
        /// What is made.
        product: Product,
        /// Pause before.
        delay: Duration,
    },
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The hosted API's word for that.
    pub word: &'static str,
    /// Whether the sequence goes on when it fails.
    pub optional: bool,
    /// Pause after it, so that a person can follow.
    pub pause_after: Duration,
    /// What is said of it, for captions.
    pub note: Option<String>,
}

impl Step {
    /// The step as it is put on record, typed values left out: whether those may be shown only the
    /// page tells.
    pub fn record(&self) -> Value {
        let mut record = json!({ "action": self.word });
        if let Some(note) = &self.note {
            record["note"] = json!(note);
        }
        let mut set = |name: &str, value: Value| record[name] = value;
        match &self.action {
            Action::Navigate(url) => set("url", json!(presentable(url))),
            Action::Click { selector, .. }
            | Action::Hover(selector)
            | Action::Fill { selector, .. } => set("selector", json!(selector)),
            Action::Select { selector, value } => {
                set("selector", json!(selector));
                set("value", json!(value));
            }
            Action::Scroll { selector, x, y } => {
                set("selector", json!(selector));
                set("by", json!([x, y]));
            }
            Action::Wait(pause) => set("ms", json!(pause.as_millis())),
            Action::WaitFor { selector, timeout } => {
                set("selector", json!(selector));
                set("timeout", json!(timeout.as_millis()));
            }
            Action::Evaluate(script) => set("script", json!(script)),
            Action::PressKey { key, selector } => {
                set("key", json!(key.name));
                set("selector", json!(selector));
            }
            Action::Output { name, .. } => set("name", json!(name)),
            Action::Compare { name, other, threshold, .. } => {
                set("name", json!(name));
                set("threshold", json!(threshold));
                if let Target::Url(url) = other {
                    set("url_b", json!(presentable(url)));
                }
            }
        }
        record
    }
}
