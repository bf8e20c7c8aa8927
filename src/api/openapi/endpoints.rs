//! Owns the list of endpoints: path, method, what each takes and what it answers.

use super::field::Field;
use super::fields::{
    ANSWER, AUTH, BLOCK, CARD, CONSOLE, COOKIES, EDIT, EMU, FILM, FULL, IMPORT, KEEP, LISTS,
    MARKDOWN, OBSERVE, OPEN_SESSION, PDF, PDF_VIEW, PICTURE, RECORD, REGION, RUN_KEPT, SEQUENCE,
    SESSION, SHOT, STAGE, TARGET, TARGETS, TIME, VIEW, VIEWPORT,
};
use super::runs::{ARCHIVE, CODE, CODE_SEEN, HOLD, PURGE, PURGE_IMPORT, RESTORE, RUN, SEAL};

/// What an endpoint answers when it succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A file, or JSON with it as base64.
    File(&'static [&'static str]),
    /// JSON of this schema among the components.
    Json(&'static str),
    /// Plain text.
    Text,
    /// JSON of this schema or, by what was asked for, a file.
    JsonOr(&'static str, &'static [&'static str]),
    /// Bytes of this media type.
    Bytes(&'static str),
    /// A page for a browser.
    Page,
    /// Nothing.
    Nothing,
    /// Never: 501.
    NotSupported,
}

/// What an endpoint takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// Nothing.
    None,
    /// An object with the fields of these groups.
    Fields(&'static [&'static [Field]]),
    /// One event or a list of them.
    Events,
    /// A capture of any kind.
    Capture,
    /// The bytes of a file.
    Bytes,
    /// An object whose fields nothing is said of.
    Any,
}

/// An endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) body: Body,
    /// Sets of fields of which one must be there.
    pub(super) one_of: &'static [&'static str],
    /// Fields that must be there.
    pub(super) needs: &'static [&'static str],
    /// Query parameters.
    pub(super) query: &'static [&'static str],
    pub(super) status: u16,
    pub(super) answer: Answer,
    /// Whether it is put on record, and may name a run.
    pub(super) recorded: bool,
    /// The hosted API's fields of an endpoint that is not supported.
    pub(super) refused: &'static [&'static str],
}

const fn get(path: &'static str, answer: &'static str, about: &'static str) -> Endpoint {
    Endpoint {
        method: "get",
        path,
        about,
        body: Body::None,
        one_of: &[],
        needs: &[],
        query: &[],
        status: 200,
        answer: Answer::Json(answer),
        recorded: false,
        refused: &[],
    }
}

const fn post(
    path: &'static str,
    groups: &'static [&'static [Field]],
    answer: Answer,
    about: &'static str,
) -> Endpoint {
    let body = Body::Fields(groups);
    Endpoint { method: "post", body, answer, recorded: true, ..get(path, "", about) }
}

const PICTURES: &[&str] = &["image/png", "image/jpeg", "image/webp"];
const STEPS: &[&[Field]] = &[SEQUENCE, VIEWPORT, COOKIES, SESSION, LISTS, STAGE];

/// Every endpoint below `/api/v1` (and `/v1`), the hosted API's first.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        one_of: &["url", "html", "markdown", "session_id"],
        ..post(
            "/screenshot",
            &[
                TARGET, MARKDOWN, SESSION, VIEW, TIME, EMU, AUTH, EDIT, BLOCK, FULL, REGION,
                PICTURE, SHOT, ANSWER, STAGE,
            ],
            Answer::File(PICTURES),
            "A picture of a page",
        )
    },
    Endpoint {
        one_of: &["url", "html", "markdown", "session_id"],
        ..post(
            "/pdf",
            &[
                TARGET, MARKDOWN, SESSION, PDF, PDF_VIEW, TIME, EMU, AUTH, EDIT, BLOCK, ANSWER,
                STAGE,
            ],
            Answer::File(&["application/pdf"]),
            "A page printed",
        )
    },
    post("/og-image", &[CARD, ANSWER, STAGE], Answer::File(PICTURES), "A social card"),
    Endpoint {
        needs: &["steps"],
        ..post("/sequence", STEPS, Answer::Json("SequenceResult"), "Steps in one page")
    },
    Endpoint {
        needs: &["steps"],
        ..post("/run_sequence", STEPS, Answer::Json("SequenceResult"), "The same as `/sequence`")
    },
    Endpoint {
        one_of: &["url", "html", "markdown", "session_id"],
        ..post(
            "/inspect",
            &[
                TARGET, MARKDOWN, SESSION, CONSOLE, VIEW, TIME, EMU, AUTH, EDIT, BLOCK, ANSWER,
                STAGE,
            ],
            Answer::Json("Inspection"),
            "What is in a page: headings, elements, forms, links, images",
        )
    },
    Endpoint {
        one_of: &["url", "html", "markdown", "session_id"],
        ..post(
            "/observe",
            &[
                TARGET, MARKDOWN, SESSION, OBSERVE, VIEW, TIME, EMU, AUTH, EDIT, BLOCK, ANSWER,
                STAGE,
            ],
            Answer::Json("Observation"),
            "What can be done in a page, for an agent",
        )
    },
    post(
        "/diff",
        &[TARGETS, VIEW, TIME, EMU, AUTH, EDIT, BLOCK, FULL, REGION, ANSWER, STAGE],
        Answer::Json("Comparison"),
        "What is different between two pages, by pixelmatch's rules",
    ),
    post(
        "/sessions",
        &[VIEWPORT, COOKIES, OPEN_SESSION],
        Answer::Json("Session"),
        "Open a session: a page that is kept between requests",
    ),
    get("/sessions", "Sessions", "The caller's sessions"),
    Endpoint {
        method: "delete",
        status: 204,
        answer: Answer::Nothing,
        recorded: true,
        ..get("/sessions/{id}", "", "Close a session")
    },
    Endpoint {
        needs: &["name", "steps"],
        status: 201,
        recorded: false,
        ..post("/sequences", &[KEEP], Answer::Json("StoredSequence"), "Keep a sequence")
    },
    get("/sequences", "StoredSequences", "The caller's kept sequences"),
    Endpoint {
        needs: &["trace"],
        recorded: false,
        ..post(
            "/sequences/import",
            &[IMPORT],
            Answer::Json("ImportedSequence"),
            "Make a sequence of what an agent did",
        )
    },
    get("/sequences/{id}", "StoredSequence", "A kept sequence with its steps"),
    Endpoint {
        method: "delete",
        status: 204,
        answer: Answer::Nothing,
        ..get("/sequences/{id}", "", "Delete a kept sequence")
    },
    post(
        "/sequences/{id}/run",
        &[RUN_KEPT, COOKIES, SESSION, LISTS, VIEWPORT, STAGE],
        Answer::JsonOr("SequenceResult", &["video/mp4"]),
        "Run a kept sequence",
    ),
    get("/devices", "Devices", "The device presets"),
    get("/usage", "Usage", "The caller's captures of this month; nothing is limited"),
    Endpoint {
        needs: &["steps"],
        ..post(
            "/video",
            &[FILM, VIEWPORT, COOKIES, SESSION, LISTS, ANSWER, STAGE],
            Answer::File(&["video/mp4"]),
            "Steps in one page, recorded; 202 with a job for `async`",
        )
    },
    get("/jobs", "Jobs", "The caller's recordings that were asked for with `async`"),
    get("/jobs/{id}", "Job", "One of them"),
    Endpoint {
        answer: Answer::File(&["video/mp4"]),
        ..get("/jobs/{id}/file", "", "Its recording, when it is completed")
    },
    Endpoint {
        body: Body::Any,
        recorded: false,
        status: 501,
        refused: &["url", "goal", "maxSteps", "allowedDomains", "credentials", "session_id"],
        ..post("/act", &[], Answer::NotSupported, "Needs a language model: not supported")
    },
    Endpoint {
        needs: &["workflow"],
        status: 201,
        recorded: false,
        ..post("/runs", &[RUN], Answer::Json("Run"), "Open a run")
    },
    Endpoint {
        query: &["workflow", "state", "verdict", "limit", "before", "mine"],
        ..get(
            "/runs",
            "Runs",
            "The runs that the caller may see, newest first; with `mine=true` only the caller’s own",
        )
    },
    get("/runs/{id}", "Run", "One run that the caller may see"),
    Endpoint {
        body: Body::Events,
        status: 201,
        recorded: false,
        ..post(
            "/runs/{id}/events",
            &[],
            Answer::Json("Recorded"),
            "Add one event, up to 1,000 as a list, or any number as lines (`application/x-ndjson`)",
        )
    },
    Endpoint {
        body: Body::Capture,
        recorded: false,
        ..post(
            "/runs/{id}/captures",
            &[],
            Answer::File(&["image/png", "image/jpeg", "image/webp", "application/pdf"]),
            "A capture with a `stage` and a `type`: `screenshot` (default), `pdf`, `og-image`, \
             `inspect` or `observe`, with that endpoint's fields; JSON unless `response_type` is \
             `binary`",
        )
    },
    Endpoint {
        body: Body::Bytes,
        query: &["name"],
        status: 201,
        recorded: false,
        ..post("/runs/{id}/attachments", &[], Answer::Json("Attached"), "Add a file, streamed")
    },
    Endpoint {
        one_of: &[
            "repository",
            "commit",
            "path",
            "symbol",
            "sha256",
            "reviewer",
            "review",
            "attachment",
            "work_tree",
        ],
        status: 201,
        recorded: false,
        ..post(
            "/runs/{id}/code",
            &[CODE, CODE_SEEN],
            Answer::Json("CodeReferenced"),
            "Say which code runs: by reference, by a file attached before, or by a git work tree",
        )
    },
    Endpoint {
        needs: &["session_id"],
        status: 201,
        recorded: false,
        ..post(
            "/runs/{id}/recordings",
            &[RECORD],
            Answer::Json("RecordingStarted"),
            "Record a session's page into a run, until it is stopped, sealed, or reaches a limit",
        )
    },
    Endpoint {
        recorded: false,
        ..post(
            "/runs/{id}/recordings/{recording}/stop",
            &[],
            Answer::Json("RecordingStopped"),
            "End a recording",
        )
    },
    Endpoint {
        recorded: false,
        ..post("/runs/{id}/seal", &[SEAL], Answer::Json("Receipt"), "Seal a run")
    },
    Endpoint {
        answer: Answer::Page,
        ..get("/runs/{id}/report", "", "The run’s report: one HTML file, also of an open run")
    },
    Endpoint {
        method: "post",
        body: Body::Any,
        answer: Answer::Bytes("application/zstd"),
        ..get(
            "/bundles",
            "",
            "Sealed runs (`runs`, a list of ids) as one `.tar.zst`, noted in the log",
        )
    },
    get("/holds", "Holds", "The legal holds that stand, for whoever may see all runs"),
    Endpoint {
        needs: &["runs", "reason"],
        recorded: false,
        ..post(
            "/holds",
            &[HOLD],
            Answer::Json("Holds"),
            "Put runs on hold, for operators: they are not purged while it stands",
        )
    },
    Endpoint {
        needs: &["runs", "reason"],
        recorded: false,
        ..post(
            "/holds/release",
            &[HOLD],
            Answer::Json("Released"),
            "Release runs from the hold of a matter, for operators",
        )
    },
    Endpoint {
        needs: &["reason"],
        recorded: false,
        ..post(
            "/purges",
            &[PURGE],
            Answer::Json("Purged"),
            "Take away runs whose time is over, for operators; the log keeps that they were there",
        )
    },
    Endpoint {
        one_of: &["runs", "older_than_days"],
        recorded: false,
        ..post(
            "/archives",
            &[ARCHIVE],
            Answer::Json("Archives"),
            "Make one `.tar.zst` of each run, in the place of its folder, for operators",
        )
    },
    Endpoint {
        needs: &["runs"],
        recorded: false,
        ..post(
            "/archives/restore",
            &[RESTORE],
            Answer::Json("Archives"),
            "Make folders of archived runs again, for operators",
        )
    },
    Endpoint {
        body: Body::Bytes,
        recorded: false,
        ..post(
            "/imports",
            &[],
            Answer::Json("Imported"),
            "Put back lost runs of this store from a bundle or archive, or keep one of another \
             store as it is, streamed, for operators",
        )
    },
    get(
        "/imports",
        "Imports",
        "The bundles of other stores that are kept, for whoever may see all runs",
    ),
    Endpoint {
        answer: Answer::Bytes("application/zstd"),
        ..get(
            "/imports/{sha256}",
            "",
            "A kept bundle of another store, as it came, noted in the log",
        )
    },
    Endpoint {
        needs: &["reason"],
        recorded: false,
        ..post(
            "/imports/{sha256}/purge",
            &[PURGE_IMPORT],
            Answer::Json("PurgedImport"),
            "Take away a kept bundle of another store whose time is over, for operators",
        )
    },
    Endpoint {
        answer: Answer::Text,
        ..get("/runs/{id}/proof", "", "That the sealed run stands in the log (c2sp.org/tlog-proof)")
    },
    Endpoint {
        answer: Answer::Text,
        ..get("/log/checkpoint", "", "The newest checkpoint of the log, a signed note")
    },
    Endpoint {
        answer: Answer::Text,
        ..get("/log/witnessed", "", "The newest checkpoint that a witness cosigned")
    },
    Endpoint {
        answer: Answer::Text,
        query: &["old", "witness"],
        ..get(
            "/log/request",
            "",
            "What to ask of a witness that saw the checkpoint at `old` last, or of the one called \
             `witness` (c2sp.org/tlog-witness)",
        )
    },
    Endpoint {
        method: "post",
        body: Body::Bytes,
        ..get(
            "/log/cosignatures",
            "Cosigned",
            "Take in a note that witnesses cosigned, of those that `transparency.witnesses` names",
        )
    },
    Endpoint {
        answer: Answer::Bytes("application/timestamp-query"),
        ..get(
            "/log/timestamp-request",
            "",
            "What to ask a timestamp authority over the newest checkpoint (RFC 3161), for operators; it \
             is kept",
        )
    },
    get("/log/timestamps", "Timestamps", "The newest checkpoint that has a timestamp"),
    Endpoint {
        method: "post",
        body: Body::Bytes,
        ..get(
            "/log/timestamps",
            "Stamped",
            "Take in what an authority answered to a request that is kept, for operators",
        )
    },
    Endpoint {
        answer: Answer::Bytes("application/octet-stream"),
        ..get(
            "/log/tile/{path}",
            "",
            "A tile of the log (c2sp.org/tlog-tiles); entries for whoever may see all runs",
        )
    },
    get("/status", "Status", "Load, browser, readiness"),
];

impl Endpoint {
    /// The fields of its body, each once.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'static Field> {
        let groups = match self.body {
            Body::Fields(groups) => groups,
            _ => &[],
        };
        groups.iter().copied().flatten()
    }
}
