//! Owns the settings of an observation: what of a page an agent is told, and in which form.

use serde_json::{Map, Value, json};

use super::picture::Picture;

/// How the elements are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservationForm {
    /// As JSON, element by element.
    Json,
    /// As one numbered text, with the selectors beside it.
    FlatDomTree,
}

impl ObservationForm {
    /// The hosted API's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::FlatDomTree => "flatdomtree",
        }
    }
}

/// What of a page an agent is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// How the elements are told.
    pub form: ObservationForm,
    /// Most elements, 1 to 150.
    pub max_elements: u32,
    /// Whether each element's place is told.
    pub rects: bool,
    /// Whether the page's text is told, as Markdown.
    pub content: bool,
    /// Whether the accessibility tree is told.
    pub aria_tree: bool,
    /// The picture that goes with it.
    pub picture: Option<Picture>,
    /// Whether the console is told.
    pub console: bool,
}

impl Default for Observation {
    /// The hosted API's defaults.
    fn default() -> Self {
        Self {
            form: ObservationForm::Json,
            max_elements: 40,
            rects: false,
            content: false,
            aria_tree: false,
            picture: None,
            console: false,
        }
    }
}

impl Observation {
    /// Its settings as they are put on record.
    pub(super) fn record(&self, record: &mut Map<String, Value>) {
        let mut picture = Map::new();
        if let Some(settings) = &self.picture {
            settings.record(&mut picture);
        }
        let own = json!({
            "format": self.form.as_str(),
            "maxElements": self.max_elements,
            "includeRects": self.rects,
            "includeContent": self.content,
            "includeAriaTree": self.aria_tree,
            "includeScreenshot": self.picture.is_some(),
            "screenshotFormat": picture.get("format"),
            "screenshotFullPage": picture.get("fullPage"),
            "includeConsole": self.console,
        });
        if let Value::Object(own) = own {
            record.extend(own);
        }
    }
}
