//! Owns the times at which nobody recorded, or nobody can tell whether somebody did: what lies
//! between a stop and the next start, before a start without a stop, and where the log says nothing
//! for longer than it was to.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::evidence::log::{Leaf, LeafKind};

/// Entries of callers at the same moment take their time before they take their turn in the log, and
/// stand out of order by less than this; the clock was not set.
const APART: SignedDuration = SignedDuration::from_secs(1);

/// The log is silent when it says nothing for this many times as long as between heartbeats.
const PATIENCE: i32 = 2;

/// Why there was nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The daemon had been stopped.
    Stopped,
    /// The daemon had ended without a word: it or its host crashed, or lost its power.
    Crashed,
    /// The daemon said nothing for longer than it should have: it was held up, or its host slept.
    Silent,
    /// The log's times go backwards here: the host's clock was set.
    ClockSetBack,
}

impl Cause {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Crashed => "crashed",
            Self::Silent => "silent",
            Self::ClockSetBack => "clock-set-back",
        }
    }
}

/// A time at which nobody recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Absence {
    /// The last sign of life before it, RFC 3339, UTC.
    pub from: Timestamp,
    /// The first after it.
    pub to: Timestamp,
    /// Why.
    pub cause: Cause,
}

impl Absence {
    /// How long it was.
    pub fn length(&self) -> SignedDuration {
        self.to.duration_since(self.from)
    }
}

/// Absences, gathered while going through the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Absences {
    /// The last entry: its time and kind.
    last: Option<(Timestamp, LeafKind)>,
    /// How often the daemon was to say that it is there.
    heartbeat: Option<SignedDuration>,
    found: Vec<Absence>,
}

impl Absences {
    pub(super) fn take(&mut self, leaf: &Leaf) {
        let Ok(time) = leaf.time.parse::<Timestamp>() else { return };
        if let Some((before, kind)) = self.last {
            self.between(before, kind, time, leaf.kind);
        }
        if let Some(every) = leaf.data.get("heartbeat_ms").and_then(serde_json::Value::as_i64) {
            self.heartbeat = Some(SignedDuration::from_millis(every));
        }
        // A seal that is taken in later tells of a time before the log. Of entries that stand out of
        // order the latest is the sign of life.
        let near = |before: Timestamp| time < before && before.duration_since(time) < APART;
        if self.last.is_some_and(|(before, _)| near(before)) {
            let last = self.last.as_mut().expect("it is there");
            last.1 = leaf.kind;
            return;
        }
        if leaf.kind != LeafKind::Seal || self.last.is_none_or(|(before, _)| time >= before) {
            self.last = Some((time, leaf.kind));
        }
    }

    fn between(&mut self, from: Timestamp, before: LeafKind, to: Timestamp, kind: LeafKind) {
        let long = |every: SignedDuration| to.duration_since(from) > every * PATIENCE;
        let cause = if to < from {
            if kind == LeafKind::Seal || from.duration_since(to) < APART {
                return;
            }
            Cause::ClockSetBack
        } else if kind == LeafKind::Start {
            if before == LeafKind::Stop { Cause::Stopped } else { Cause::Crashed }
        } else if self.heartbeat.is_some_and(long) {
            Cause::Silent
        } else {
            return;
        };
        self.found.push(Absence { from, to, cause });
    }

    /// Those that touch the period.
    pub(super) fn within(self, from: Option<Timestamp>, to: Option<Timestamp>) -> Vec<Absence> {
        let touches = |absence: &Absence| {
            let (begin, end) = (absence.from.min(absence.to), absence.from.max(absence.to));
            from.is_none_or(|from| end >= from) && to.is_none_or(|to| begin < to)
        };
        self.found.into_iter().filter(touches).collect()
    }
}
