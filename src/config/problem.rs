//! Owns what can be said about a configuration that is not accepted: where, which key, what is
//! wrong and what to write instead. Finds nothing wrong itself.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Code, Problem};

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The file it is in.
    pub file: PathBuf,
    /// The line, from 1; none when the key stands in no line because its default holds.
    pub line: Option<usize>,
    /// The key, with its table: `daemon.socket`. Empty when it is about the whole file.
    pub key: String,
    /// What is wrong with which value, and the remedy.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything wrong with the configuration, in the order of its lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigErrors {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl From<ConfigErrors> for Problem {
    fn from(errors: ConfigErrors) -> Self {
        let problem = Self::of_lines(Code::InvalidConfig, &errors.0);
        match errors.0.as_slice() {
            [only] if !only.key.is_empty() => problem.field(only.key.clone()),
            _ => problem,
        }
    }
}
