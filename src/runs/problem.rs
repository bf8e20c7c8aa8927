//! Owns what a caller is told when a run or the store stands in the way. The server's own paths
//! stay out of it: they are in the cause, for the log.

use crate::error::{Code, Problem, chain};
use crate::evidence::{SealCause, SealError, SignError, StoreError};
use crate::id::RunId;

pub(super) fn unknown(id: RunId) -> Problem {
    Problem::new(Code::RunNotFound, format!("there is no run {id}; check its id"))
}

pub(crate) fn not_to_see(id: RunId) -> Problem {
    let message = format!(
        "the run {id} was opened by another caller; whoever opened it may see it, and, over the Unix \
         socket, root, the daemon's own user and the users in `web.viewers`"
    );
    Problem::new(Code::NotYourRun, message)
}

pub(super) fn sealed(id: RunId) -> Problem {
    let message = format!("the run {id} is sealed, and nothing can be added; open another");
    Problem::new(Code::RunSealed, message)
}

pub(super) fn sealed_first(id: RunId) -> Problem {
    let message = format!("the run {id} is still open; seal it first");
    Problem::new(Code::RunOpen, message).field("runs")
}

pub(super) fn seal_problem(error: &SealError) -> Problem {
    let why = chain(error);
    match &error.source {
        SealCause::Store(store) => {
            let code = store_code(store);
            Problem::new(code, format!("{error}; mend the cause and seal again")).because(why)
        }
        SealCause::Sign(SignError::Agent { .. } | SignError::NotHeld { .. }) => {
            let message = "the key that signs evidence is out of reach, and the run stays open; ask \
                           the operator to look at the SSH agent, then seal again";
            Problem::new(Code::SignerUnavailable, message).because(why)
        }
        SealCause::Sign(_) | SealCause::NotVerified(_) => Problem::internal("sealing", why),
    }
}

fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::Locked { .. } => Code::StoreLocked,
        StoreError::Full { .. } => Code::StoreFull,
        StoreError::Unwritable { .. } => Code::StoreUnwritable,
        StoreError::NameTaken { .. } => Code::NameTaken,
        StoreError::UnsafeName { .. } => Code::InvalidField,
        StoreError::InDoubt { source } => store_code(source),
        StoreError::Unfit { .. } => Code::BodyTooLarge,
        StoreError::NotFound { .. }
        | StoreError::BeingWritten { .. }
        | StoreError::Damaged { .. }
        | StoreError::Io { .. } => Code::Internal,
    }
}

/// What the store says, for the caller: the server's paths stay out of it.
pub(super) fn store_problem(error: StoreError) -> Problem {
    let code = store_code(&error);
    let reason = match &error {
        StoreError::InDoubt { source } => source,
        other => other,
    };
    let message = match reason {
        StoreError::Locked { .. } => return Problem::new(code, error.to_string()),
        StoreError::Full { .. } => {
            "the store's disk is full; free some space and try again".to_owned()
        }
        StoreError::Unwritable { .. } => {
            "the store cannot be written; ask the operator to check owner, permissions and mount"
                .to_owned()
        }
        StoreError::NameTaken { path } => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("the name `{name}` is taken in this run; choose another")
        }
        StoreError::UnsafeName { .. } | StoreError::Unfit { .. } => error.to_string(),
        _ => return Problem::internal("keeping evidence", error),
    };
    Problem::new(code, message).because(error)
}

/// What is said to whoever wants to look into the archived run `run`.
pub(super) fn archived(run: RunId) -> Problem {
    let message = format!(
        "the run {run} is archived; have an operator restore it (`exhibit archive --restore {run}`)"
    );
    Problem::new(Code::RunArchived, message)
}
