//! `exhibit config …`: checking the configuration without starting anything.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Common, DONE, out};
use crate::config::load;
use crate::daemon::socket::known_group;
use crate::error::{Problem, exit};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Report every problem with the configuration, each with file, line, key and remedy
    Check {
        /// The file [default: the one in force]
        file: Option<PathBuf>,
    },
}

pub(super) fn config(common: &Common, command: ConfigCommand) -> Result<u8, Problem> {
    let ConfigCommand::Check { file } = command;
    let Some(file) = file.or_else(|| common.config_file()) else {
        out::line("no configuration file: the defaults are in force");
        return DONE;
    };
    match load(&file) {
        Ok(config) => {
            // Not what the file says, but whether this machine has it.
            if let Err(problem) = known_group(&config.daemon) {
                out::note(format!("{}: {problem}", file.display()));
                return Ok(exit::CONFIG);
            }
            out::line(format!("{}: sound", file.display()));
            DONE
        }
        Err(errors) => {
            for problem in &errors.0 {
                out::note(problem);
            }
            Ok(exit::CONFIG)
        }
    }
}
