//! Owns who accesses evidence, and how the access log's events are made of them.

use serde_json::{Map, Value};

use crate::evidence::{AccessActor, Act, NewAccessEvent};
use crate::id::RunId;
use crate::run::{Caller, Reader};

/// Somebody who reads evidence.
#[derive(Clone, Debug)]
pub struct Accessor {
    /// Who.
    pub caller: Caller,
    /// Whose runs they may look at.
    pub reader: Reader,
    /// Whether they do so by a session of the web page.
    pub session: bool,
}

impl Accessor {
    /// A caller of the API.
    pub fn caller(caller: Caller, reader: Reader) -> Self {
        Self { caller, reader, session: false }
    }

    /// The event that they did `act` with `runs`.
    pub(in crate::runs) fn event(
        &self,
        act: Act,
        runs: Vec<RunId>,
        detail: Value,
    ) -> NewAccessEvent {
        let by = AccessActor { caller: self.caller.clone(), session: self.session };
        event(by, act, runs, detail)
    }
}

/// The event of an operator's decision.
pub(in crate::runs) fn decided(
    by: &Caller,
    act: Act,
    runs: Vec<RunId>,
    detail: Value,
) -> NewAccessEvent {
    event(AccessActor { caller: by.clone(), session: false }, act, runs, detail)
}

fn event(by: AccessActor, act: Act, runs: Vec<RunId>, detail: Value) -> NewAccessEvent {
    let detail = match detail {
        Value::Object(detail) => detail,
        _ => Map::new(),
    };
    NewAccessEvent { by, act, runs, detail }
}
