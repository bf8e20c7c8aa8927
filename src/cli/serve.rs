//! `exhibit serve`

use super::{Common, DONE};
use crate::daemon;
use crate::error::Problem;

pub(super) async fn serve(common: &Common) -> Result<u8, Problem> {
    let file = common.config_file();
    daemon::serve(common.config()?, file.as_deref()).await?;
    DONE
}
