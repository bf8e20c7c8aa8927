//! Owns the names in a bundle: which ones have a place in it, and the order in which our writer has
//! them. A name that follows in that order cannot come twice.

use super::header::TarType;
use super::{BundleError, PROOFS, RUNS};
use crate::artifact::is_safe_name;
use crate::id::RunId;

/// Most parts of a path in a bundle: `runs`, the run, and what a folder may hold.
const MAX_DEPTH: usize = 12;
/// What a proof is called behind its run.
const PROOF: &str = ".tlog-proof";

/// The name of an entry, which has its place in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Without a slash at its end.
    path: String,
    run: RunId,
    proof: bool,
}

impl Name {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let refused = || BundleError::NotABundle(format!("it names {}", bytes.escape_ascii()));
        let path = std::str::from_utf8(bytes).map_err(|_| refused())?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() > MAX_DEPTH || !parts.iter().all(|part| is_safe_name(part)) {
            return Err(refused());
        }
        let (run, proof) = match parts.as_slice() {
            [RUNS, run, ..] => (*run, false),
            [PROOFS, proof] => (proof.strip_suffix(PROOF).ok_or_else(refused)?, true),
            _ => return Err(refused()),
        };
        let run: RunId = run.parse().map_err(|_| refused())?;
        Ok(Self { path: path.to_owned(), run, proof })
    }

    /// The whole path, without a slash at its end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The run that it belongs to.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Whether it is the proof beside the run's folder.
    pub fn is_proof(&self) -> bool {
        self.proof
    }

    /// The path inside the folder of its run; none of that folder itself, and of a proof.
    pub fn inside(&self) -> Option<&str> {
        let inside = self.path.strip_prefix(RUNS)?.splitn(3, '/').nth(2)?;
        (!self.proof).then_some(inside)
    }
}

/// Where a reader is: proofs by run, then folders by run, in each folder names in bytewise order and
/// what is in a folder behind it.
#[derive(Debug, Default)]
pub(super) struct NameOrder {
    proofs: Vec<RunId>,
    runs: Vec<RunId>,
    /// The folders that are open, each with the last name in it.
    open: Vec<(String, String)>,
}

impl NameOrder {
    /// Go on to `name`.
    ///
    /// # Errors
    /// [`BundleError::NotABundle`] where our writer would not have it there.
    pub(super) fn follow(&mut self, name: &Name, kind: TarType) -> Result<(), BundleError> {
        let fits = if name.proof { self.proof(name, kind) } else { self.inside(name, kind) };
        if fits {
            return Ok(());
        }
        let message =
            format!("{} does not stand where ours would, or stands there twice", name.path);
        Err(BundleError::NotABundle(message))
    }

    fn proof(&mut self, name: &Name, kind: TarType) -> bool {
        let next = self.proofs.last().is_none_or(|last| *last < name.run);
        self.proofs.push(name.run);
        next && self.runs.is_empty() && kind == TarType::File
    }

    fn inside(&mut self, name: &Name, kind: TarType) -> bool {
        let Some((above, last)) = name.path.rsplit_once('/') else { return false };
        if above == RUNS {
            let next = self.runs.last().is_none_or(|before| *before < name.run);
            self.runs.push(name.run);
            self.open = vec![(name.path.clone(), String::new())];
            return next && kind == TarType::Folder;
        }
        while self.open.last().is_some_and(|(open, _)| open != above) {
            self.open.pop();
        }
        let Some((_, before)) = self.open.last_mut() else { return false };
        let next = before.as_str() < last;
        last.clone_into(before);
        if kind == TarType::Folder {
            self.open.push((name.path.clone(), String::new()));
        }
        next
    }

    /// The runs of which there are folders; each proof is of one of them.
    ///
    /// # Errors
    /// [`BundleError::NotABundle`] where one is not, or where there is no folder.
    pub(super) fn end(self) -> Result<Vec<RunId>, BundleError> {
        if self.runs.is_empty() {
            return Err(BundleError::NotABundle("there is no evidence folder in it".to_owned()));
        }
        match self.proofs.iter().find(|run| self.runs.binary_search(run).is_err()) {
            None => Ok(self.runs),
            Some(run) => {
                let message = format!("it holds a proof of {run} without its folder");
                Err(BundleError::NotABundle(message))
            }
        }
    }
}
