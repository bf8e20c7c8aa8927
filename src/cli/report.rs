//! `exhibit report`: shows a folder to a human, or to a program, without any daemon. Writes beside the evidence,
//! never into it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use url::Url;

use super::verify::trust;
use super::{Common, DONE, in_file, out};
use crate::artifact::is_safe_name;
use crate::disk::{OnceFile, sync_dir};
use crate::error::{Code, Problem};
use crate::evidence::verify as check;
use crate::report::{self, Options};

#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// The evidence folder
    folder: PathBuf,
    /// File to write, which must not exist yet [default: report-<run>.html, events-<run>.csv or
    /// assessment-results-<run>.json in this folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Who is trusted to sign, in ssh-keygen's allowed_signers format
    /// [default: this machine's own signing key]
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// The events as rows of a table, CSV
    #[arg(long, conflicts_with = "oscal")]
    csv: bool,
    /// Assessment results of NIST's OSCAL 1.1, JSON, with the SHA-256 of each file
    #[arg(long)]
    oscal: bool,
}

pub(super) fn report(common: &Common, asked: Report) -> Result<u8, Problem> {
    let folder = asked.folder.canonicalize().map_err(|error| in_file(&asked.folder, error))?;
    let path = asked.out.clone().unwrap_or_else(|| PathBuf::from(asked.default_name(&folder)));
    let path = outside(&path)?;
    let mut options = Options { base: base(&path, &folder), checked: None };
    if !asked.csv && !asked.oscal {
        let trust = trust(common, asked.allowed_signers.as_deref())?;
        options.checked = Some(check::folder(&folder, &trust));
    }
    let mut file = OnceFile::create(&path).map_err(|error| taken(&path, error))?;
    let mut buffer = std::io::BufWriter::with_capacity(1 << 20, &mut file);
    let written = if asked.csv {
        report::write_csv(&folder, &mut buffer)
    } else if asked.oscal {
        report::write_oscal(&folder, &options, &mut buffer)
    } else {
        report::write(&folder, &options, &mut buffer)
    };
    let written = written.and_then(|written| buffer.flush().map(|()| written));
    drop(buffer);
    let refused = match written {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            let message = format!("{error}; name the folder of one run");
            Some(Problem::new(Code::InvalidField, message).field("folder"))
        }
        Err(error) => Some(in_file(&path, error)),
    };
    if let Some(problem) = refused {
        file.discard();
        return Err(problem);
    }
    let (sha256, size) = file.finish().map_err(|error| taken(&path, error))?;
    let parent = path.parent().expect("an absolute file lies in a folder");
    sync_dir(parent).map_err(|error| in_file(parent, error))?;
    if common.json {
        out::json(&json!({ "report": path, "size_bytes": size, "sha256": sha256 }));
    } else {
        out::line(path.display());
    }
    DONE
}

impl Report {
    fn default_name(&self, folder: &Path) -> String {
        let name = folder.file_name().and_then(|name| name.to_str());
        let name = name.filter(|name| is_safe_name(name)).unwrap_or("run");
        match (self.csv, self.oscal) {
            (true, _) => format!("events-{name}.csv"),
            (_, true) => format!("assessment-results-{name}.json"),
            _ => format!("report-{name}.html"),
        }
    }
}

/// `path` from the root, unless it lies inside evidence.
fn outside(path: &Path) -> Result<PathBuf, Problem> {
    let whole = std::path::absolute(path).map_err(|error| in_file(path, error))?;
    let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else {
        let message = format!("{} is no file; name one", path.display());
        return Err(Problem::new(Code::InvalidField, message).field("out"));
    };
    let parent = parent.canonicalize().map_err(|error| in_file(path, error))?;
    let is_evidence = |folder: &Path| folder.join("data/events.jsonl").exists();
    if let Some(evidence) = parent.ancestors().find(|folder| is_evidence(folder)) {
        let message = format!(
            "{} lies inside the evidence folder {}, which nothing is added to; give a file elsewhere",
            path.display(),
            evidence.display()
        );
        return Err(Problem::new(Code::InvalidField, message).field("out"));
    }
    Ok(parent.join(name))
}

fn taken(path: &Path, error: std::io::Error) -> Problem {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        let message = format!("{} exists already; give another name with --out", path.display());
        return Problem::new(Code::NameTaken, message).field("out");
    }
    in_file(path, error)
}

/// Where `folder` lies, seen from the report at `path`: relative, so that both can be moved.
fn base(path: &Path, folder: &Path) -> String {
    let report = Url::from_file_path(path);
    let folder = Url::from_directory_path(folder);
    let (Ok(report), Ok(folder)) = (report, folder) else { return String::new() };
    report.make_relative(&folder).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_folder_is_relative() {
        let base = |path: &str, folder: &str| base(Path::new(path), Path::new(folder));
        assert_eq!(base("/a/report.html", "/a/b c/<run>"), "b%20c/%3Crun%3E/");
        assert_eq!(base("/a/x/report.html", "/a/b/run"), "../b/run/");
    }
}
