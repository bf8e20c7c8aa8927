//! `exhibit guard`

use super::{Common, DONE};
use crate::daemon;
use crate::error::Problem;

pub(super) fn guard(common: &Common) -> Result<u8, Problem> {
    daemon::guard::serve(&common.config()?)?;
    DONE
}
