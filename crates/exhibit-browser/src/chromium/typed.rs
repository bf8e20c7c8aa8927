//! Owns what is known of the secrets in a page: which values were typed into fields for secrets, or
//! stand in such fields. The page's evidence is written without them. What was one stays one as long as
//! the page is there. Knows no page: `look` asks one.

mod html;
mod mhtml;
mod output;
mod pdf;
mod spelled;
mod values;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

pub(super) use values::Values;

/// The secrets of a page and of the windows it opens.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed(Arc<Mutex<Values>>);

impl Typed {
    /// Let `value` stand in no evidence from now on.
    pub(super) fn note(&self, value: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(value);
    }

    /// There are more than can be told: all that the page says is withheld from now on.
    pub(super) fn note_untold(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add_untold();
    }

    /// The values so far.
    pub(super) fn values(&self) -> Values {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A field for a secret in which something stands now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Field {
    id: String,
    name: String,
    pub(super) value: String,
}

impl Field {
    /// Whether its value could be any word of a text.
    pub(super) fn is_short(&self) -> bool {
        self.value.chars().count() < values::SHORTEST
    }
}

/// What must not stand in the snapshots of a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Hidden {
    pub(super) values: Values,
    /// Fields whose values are too short to be told from other words.
    pub(super) short: Vec<Field>,
    /// The browser's numbers for them.
    pub(super) nodes: HashSet<u64>,
}
