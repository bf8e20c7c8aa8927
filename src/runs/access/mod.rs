//! Owns the reading of evidence: who may read which run, what they are given, and the access log, in
//! which every access stands before it is answered.

pub(super) mod accessor;
mod bundle;
pub(super) mod log;
mod report;
pub(super) mod viewing;

use std::sync::Arc;

use self::log::AccessLog;
use super::catalog::Catalog;
use super::context::Context;
use super::integrity::Integrity;
use super::log::signing::Signing;
use super::registry::Registry;
use super::retention::decisions::Decisions;

/// What is shown and given out of a store's runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disclosure(Arc<Parts>);

/// What it works with.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) context: Arc<Context>,
    pub(super) signing: Signing,
    pub(super) access: AccessLog,
    pub(super) decisions: Decisions,
    pub(super) registry: Registry,
    pub(super) integrity: Integrity,
    pub(super) catalog: Catalog,
}

impl Disclosure {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The access log.
    pub fn access_log(&self) -> &AccessLog {
        &self.0.access
    }
}
