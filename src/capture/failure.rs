//! Owns the failure of a capture in the pipeline: what the backend could not do, or what the store
//! could not keep, with what was seen until then.

use serde_json::Value;

use crate::backend::{Failed, FailedAttempt, PageFacts};
use crate::error::Problem;

/// A capture of which there is nothing but a failure to put on record.
#[derive(Debug)]
pub(super) struct Failure {
    /// Why.
    pub(super) problem: Problem,
    /// What was seen until then.
    pub(super) facts: Option<Box<PageFacts>>,
    /// Attempts before this one.
    pub(super) failed_attempts: Vec<FailedAttempt>,
    /// Which service it was asked of; none when it was the local browser.
    pub(super) browser: Option<Value>,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem, facts: None, failed_attempts: Vec::new(), browser: None }
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        let Failed { problem, facts, failed_attempts, browser, down: _ } = failed;
        Self { problem: problem.into(), facts, failed_attempts, browser }
    }
}
