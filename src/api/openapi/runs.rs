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

/// What is looked at beside what the caller says of the code.
pub(super) const CODE_SEEN: &[Field] = &[
    field(
        "attachment",
        Kind::Text(100),
        "",
        "a file of the run, by the name under which it was attached, whose SHA-256 is taken",
    ),
    field(
        "work_tree",
        Kind::Text(2_000),
        "",
        "a git work tree on the daemon's host, below a folder of `code.work_trees`: its commit is \
         read, whether it is clean, and the file at `path`",
    ),
];

pub(super) const CODE: &[Field] = &[
    field("repository", Kind::Text(2_000), "", "where the code lives"),
    field("commit", Kind::Text(100), "", "its commit"),
    field("path", Kind::Text(2_000), "", "its path there"),
    field("symbol", Kind::Text(2_000), "", "which part of it: a function, a class"),
    field("sha256", Kind::Digest, "", "of the file that ran"),
    field("reviewer", Kind::Text(2_000), "", "who reviewed it"),
    field("review", Kind::Text(2_000), "", "a link to its review"),
];

pub(super) const EVENT: &[Field] = &[
    field("kind", Kind::Text(60), "\"log\"", "lower-case letters, digits, hyphens: `decision`"),
    field("level", Kind::Choice(&["trace", "debug", "info", "warn", "error"]), "", ""),
    field("message", Kind::Text(65_536), "", "`message` or `data` is needed"),
    field("data", Kind::Open(1_000_000), "", "structured"),
    field("traceparent", Kind::Trace, "", "W3C Trace Context"),
];

pub(super) const HOLD: &[Field] = &[
    field("runs", Kind::Runs(1_000), "", "which runs: all of them, or none when one is refused"),
    field("reason", Kind::Text(2_000), "", "why, on one line; it stands in the log"),
    field("matter", Kind::Text(100), "", "for the sake of which matter; several may hold one run"),
];

pub(super) const PURGE: &[Field] = &[
    field("runs", Kind::Runs(1_000), "", "which runs; none goes when one must stay. All due ones"),
    field("reason", Kind::Text(2_000), "", "why, on one line; it stands in the log"),
    field("dry_run", Kind::Flag, "false", "only say what would go"),
    field("even_damaged", Kind::Flag, "false", "also of `runs` what is not as it was sealed"),
];

pub(super) const PURGE_IMPORT: &[Field] = &[
    field("reason", Kind::Text(2_000), "", "why, on one line; it stands in the log"),
    field("dry_run", Kind::Flag, "false", "only say what would go"),
    field("even_damaged", Kind::Flag, "false", "also one that is not as it was taken in"),
];

pub(super) const ARCHIVE: &[Field] = &[
    field("runs", Kind::Runs(1_000), "", "which runs: all of them, or none when one is refused"),
    field("older_than_days", Kind::Int(0, 36_500), "", "runs that were sealed longer ago"),
    field("dry_run", Kind::Flag, "false", "only say what would be done"),
];

pub(super) const RESTORE: &[Field] = &[
    field("runs", Kind::Runs(1_000), "", "which runs: all of them, or none when one is refused"),
    field("dry_run", Kind::Flag, "false", "only say what would be done"),
];

pub(super) const SEAL: &[Field] = &[
    field("outcome", Kind::Text(100), "", "what came of the run"),
    field("reason", Kind::Text(2_000), "", "why"),
];
