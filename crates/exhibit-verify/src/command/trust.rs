//! Owns whom an auditor's folder says to believe, where that folder may lie, and what is asked of
//! witnesses.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Refused;
use crate::trust::{Trust, Unfit};

/// Whom the files in `folder` say to believe about what is `verified`, which must not hold it; since when
/// witnesses must have looked, if that is asked.
///
/// # Errors
/// [`Refused`].
pub fn trust_in(
    folder: &Path,
    verified: &[PathBuf],
    witnessed_since: Option<Timestamp>,
) -> Result<Trust, Refused> {
    let real = folder.canonicalize().map_err(|error| Refused::in_file(folder, error))?;
    for path in verified {
        if path.canonicalize().is_ok_and(|path| real.starts_with(path)) {
            let message = format!(
                "{} lies in what is to be verified, whose maker could have put it there; take the \
                 folder that was handed over separately",
                folder.display()
            );
            return Err(Refused::new("trust", message));
        }
    }
    let trust = Trust::in_folder(folder).map_err(|unfit| match unfit {
        Unfit::Unreadable(path, error) => Refused::in_file(&path, error),
        unfit => Refused::new("trust", unfit.to_string()),
    })?;
    if witnessed_since.is_some() && !trust.log().asks_for_witnesses() {
        let message = "--witnessed-since needs a trust-policy.txt with a quorum of witnesses";
        return Err(Refused::new("witnessed-since", message));
    }
    Ok(trust.witnessed_since(witnessed_since))
}
