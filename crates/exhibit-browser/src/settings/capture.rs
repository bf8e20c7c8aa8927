//! Owns the settings of one capture: a page and what is made of it.

use serde_json::{Value, json};

use super::outline::Observation;
use super::page::PageSettings;
use super::pdf::Pdf;
use super::picture::Picture;

/// What is made of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Product {
    /// A picture.
    Picture(Picture),
    /// A printed document.
    Pdf(Pdf),
    /// A list of what is in it: headings, elements, forms, links, images.
    Inspection {
        /// Whether the console is part of it.
        console: bool,
    },
    /// What can be done in it, for an agent.
    Observation(Observation),
}

impl Product {
    /// What it is called in the record.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Picture(_) => "picture",
            Self::Pdf(_) => "pdf",
            Self::Inspection { .. } => "inspection",
            Self::Observation(_) => "observation",
        }
    }

    /// Whether it shows the page itself.
    pub fn shows_the_page(&self) -> bool {
        match self {
            Self::Picture(_) | Self::Pdf(_) => true,
            Self::Inspection { .. } => false,
            Self::Observation(observation) => observation.picture.is_some(),
        }
    }

    /// What its bytes are.
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::Picture(picture) => picture.format.media_type(),
            Self::Pdf(_) => "application/pdf",
            Self::Inspection { .. } | Self::Observation(_) => "application/json",
        }
    }

    /// What its file is called in evidence.
    pub fn file_name(&self) -> String {
        match self {
            Self::Picture(picture) => format!("screenshot.{}", picture.format.extension()),
            Self::Pdf(_) => "document.pdf".to_owned(),
            Self::Inspection { .. } => "inspection.json".to_owned(),
            Self::Observation(_) => "observation.json".to_owned(),
        }
    }
}

/// Everything about one capture: the page, and what is made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureSettings {
    /// The page.
    pub page: PageSettings,
    /// What is made of it.
    pub product: Product,
}

impl CaptureSettings {
    /// The fields through which the page was changed or is not real: an altered view is allowed,
    /// and always marked.
    pub fn altered_by(&self) -> Vec<&'static str> {
        let mut names = self.page.altered_by();
        if let Product::Picture(picture) = &self.product {
            names.extend(picture.altered_by());
        }
        names
    }

    /// The settings as they are put on record: every field with the value in force, secrets left
    /// out.
    pub fn record(&self) -> Value {
        let mut record = self.page.record();
        match &self.product {
            Product::Picture(picture) => picture.record(&mut record),
            Product::Pdf(pdf) => drop(record.insert("pdf".to_owned(), json!(pdf))),
            Product::Inspection { console } => {
                record.insert("includeConsole".to_owned(), json!(console));
            }
            Product::Observation(observation) => observation.record(&mut record),
        }
        Value::Object(record)
    }
}
