//! Owns the tables of the fields of requests about runs.

use super::field::{Field, Kind, field};

pub(super) const RUN: &[Field] = &[
    field("workflow", Kind::Text(100), "", "the kind of run: `refund`, `access-change`, …"),
    field("agent", Kind::Text(2_000), "", "which agent acts"),
    field("principal", Kind::Text(2_000), "", "on whose behalf"),
    field("subject", Kind::Text(2_000), "", "what it is about"),
    field("controls", Kind::Texts(100), "", "controls it supports: `CC8.1`"),
    field("code", Kind::Object(CODE), "", "which code ran"),
    field("labels", Kind::Open(100), "", "by name"),
    field("traceparent", Kind::Trace, "", "W3C Trace Context"),
];

const CODE: &[Field] = &[
    field("repository", Kind::Text(2_000), "", "where the code lives"),
    field("commit", Kind::Text(100), "", "its commit"),
    field("path", Kind::Text(2_000), "", "its path there"),
    field("sha256", Kind::Digest, "", "of the file that ran"),
    field("review", Kind::Text(2_000), "", "a link to its review"),
];

pub(super) const EVENT: &[Field] = &[
    field("kind", Kind::Text(60), "\"log\"", "lower-case letters, digits, hyphens: `decision`"),
    field("level", Kind::Choice(&["trace", "debug", "info", "warn", "error"]), "", ""),
    field("message", Kind::Text(65_536), "", "`message` or `data` is needed"),
    field("data", Kind::Open(1_000_000), "", "structured"),
    field("traceparent", Kind::Trace, "", "W3C Trace Context"),
];

pub(super) const SEAL: &[Field] = &[
    field("outcome", Kind::Text(100), "", "what came of the run"),
    field("reason", Kind::Text(2_000), "", "why"),
];
