//! `exhibit index …`: the index is made from the folders and can be made again.

use clap::Subcommand;

use super::{Common, DONE, in_file, out};
use crate::disk;
use crate::error::{Problem, chain};
use crate::evidence;
use crate::runs::INDEX;

#[derive(Debug, Subcommand)]
pub(super) enum Index {
    /// Make the index anew from the sealed folders
    Rebuild,
}

pub(super) fn index(common: &Common, command: &Index) -> Result<u8, Problem> {
    let Index::Rebuild = command;
    let root = common.config()?.store.path;
    let path = root.join(INDEX);
    let rebuilt = evidence::Index::rebuild(&path, &root);
    let (_, filled) = rebuilt.map_err(|error| Problem::internal("rebuilding the index", error))?;
    // Made by root, it must still be the daemon's to write.
    disk::give_to_folders_owner(&path).map_err(|error| in_file(&path, error))?;
    for (folder, error) in &filled.unreadable {
        out::note(format!("{}: {}", folder.display(), chain(error)));
    }
    out::line(format!(
        "{} indexed, {} unreadable",
        out::counted(filled.added, "run"),
        filled.unreadable.len()
    ));
    DONE
}
