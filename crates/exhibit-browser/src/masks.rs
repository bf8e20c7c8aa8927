//! Owns the operator's rules for what is covered in pages before they are captured. The browser
//! applies them; whoever captures tells what was covered.

use std::sync::Arc;

/// `[privacy]`
#[derive(Clone, Debug, PartialEq)]
pub struct MaskSettings {
    /// CSS selectors of what is covered in pictures and recordings.
    pub mask: Vec<String>,
    /// Types of input fields that are covered.
    pub mask_inputs: Vec<String>,
}

impl Default for MaskSettings {
    fn default() -> Self {
        Self { mask: Vec::new(), mask_inputs: vec!["password".to_owned()] }
    }
}

/// What is to be covered, as CSS selectors. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks(Arc<Vec<String>>);

/// Password fields, which the browser itself never shows or tells in text.
const PASSWORD: &str = "input[type=\"password\" i]";

impl Masks {
    /// The rules of a configuration.
    pub fn new(settings: &MaskSettings) -> Self {
        let inputs = settings.mask_inputs.iter().map(|kind| format!("input[type=\"{kind}\" i]"));
        Self(Arc::new(inputs.chain(settings.mask.iter().cloned()).collect()))
    }

    /// The selectors.
    pub fn rules(&self) -> &[String] {
        &self.0
    }

    /// Whether what a rule covers may stand in the page's text, too.
    pub fn covers_text(&self, rule: &str) -> bool {
        rule != PASSWORD
    }

    /// Whether only password fields are covered, or nothing.
    pub fn are_for_passwords(&self) -> bool {
        !self.0.iter().any(|rule| self.covers_text(rule))
    }
}
