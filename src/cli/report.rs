//! `exhibit report`: shows a folder to a human, or to a program, without any daemon. Writes beside the evidence,
//! never into it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use exhibit_verify::command::{ExpectedEvidence, check_path};
use serde_json::{Value, json};
use url::Url;

use super::trust::{trust, trust_in};
use super::{Common, DONE, in_file, out, printed};
use crate::artifact::is_safe_name;
use crate::digest::Digest;
use crate::disk::{self, OnceFile, sync_dir};
use crate::error::{Code, Problem, exit};
use crate::evidence::{Integrity, MAX_SMALL, PROOF, verify as check};
use crate::report::{self, Made, Options, ReportError};
use crate::tlog::proof::Proof;

#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// The evidence folder
    folder: PathBuf,
    /// File to write, which must not exist yet [default: report-RUN.html in this folder, or what
    /// goes with the form asked for]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Who is trusted to sign, in ssh-keygen's allowed_signers format
    /// [default: this machine's own signing key]
    #[arg(long, value_name = "FILE", conflicts_with = "trust")]
    allowed_signers: Option<PathBuf>,
    /// Folder with whom to believe, as `exhibit verify` takes it
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// The events as rows of a table, CSV
    #[arg(long, group = "form")]
    csv: bool,
    /// Assessment results of NIST's OSCAL 1.1, JSON, with the SHA-256 of each file
    #[arg(long, group = "form")]
    oscal: bool,
    /// Printed by Chromium, in parts if it is large
    #[arg(long, group = "form")]
    pdf: bool,
    /// What changed between before and after, in words: printed, and no file is written
    #[arg(long, group = "form", conflicts_with = "out")]
    changes: bool,
    /// Most bytes of one part of the PDF
    #[arg(long, value_name = "SIZE", default_value = "25MB", requires = "pdf")]
    part: bytesize::ByteSize,
}

/// What is said of a folder that is not as it was sealed.
const ALTERED: &str =
    "THE FOLDER IS ALTERED: what it says of itself does not count; `exhibit verify` says more";

pub(super) async fn report(common: &Common, asked: Report) -> Result<u8, Problem> {
    check_path(&asked.folder, ExpectedEvidence::Folder)?;
    let folder = asked.folder.canonicalize().map_err(|error| in_file(&asked.folder, error))?;
    if asked.changes {
        let changes = report::changes(&folder).map_err(|error| no_report(&error))?;
        if common.json {
            out::json(&changes);
        } else {
            out::text(&format!("{changes}\n"));
        }
        return DONE;
    }
    let path = asked.out.clone().unwrap_or_else(|| PathBuf::from(asked.default_name(&folder)));
    let path = outside(&path)?;
    let mut options = Options { base: base(&path, &folder), ..Options::default() };
    let trust = match &asked.trust {
        Some(trust) => trust_in(trust, std::slice::from_ref(&folder), None)?,
        None => trust(common, asked.allowed_signers.as_deref())?,
    };
    let checked = check::folder(&folder, &trust);
    let intact = checked.exit() == exit::OK;
    let altered = checked.exit() == exit::ALTERED;
    if altered {
        out::note(ALTERED);
    }
    options.integrity = Integrity::in_store(&folder);
    if let Some(told) = &options.integrity {
        out::note(told.sentence());
    }
    options.checked = Some(checked);
    if !asked.csv && !asked.oscal {
        let proof = disk::read_limited(&folder.join(PROOF), MAX_SMALL).ok();
        let proof = proof.and_then(|bytes| Proof::parse(std::str::from_utf8(&bytes).ok()?).ok());
        options.checkpoint = proof.map(|proof| proof.note);
    }
    let (written, made) = if asked.pdf {
        asked.print(common, &folder, &options, &path).await?
    } else {
        let (written, made) = asked.write(&folder, &options, &path)?;
        (vec![written], made)
    };
    // What was verified is not what was read for the report: somebody changes it.
    let changed = intact && made.problems > 0;
    if changed {
        out::note(ALTERED);
    }
    if common.json {
        let files: Vec<_> = written.iter().map(Written::shown).collect();
        out::json(&if asked.pdf { json!({ "parts": files }) } else { files[0].clone() });
    } else {
        for file in &written {
            out::line(file.path.display());
        }
    }
    // The report is made all the same, and whoever goes by the exit code hears of it.
    Ok(if altered || changed { exit::ALTERED } else { exit::OK })
}

/// A file that was written.
struct Written {
    path: PathBuf,
    size: u64,
    sha256: Digest,
}

impl Written {
    fn shown(&self) -> Value {
        json!({ "report": self.path, "size_bytes": self.size, "sha256": self.sha256 })
    }
}

impl Report {
    fn default_name(&self, folder: &Path) -> String {
        let name = folder.file_name().and_then(|name| name.to_str());
        let name = name.filter(|name| is_safe_name(name)).unwrap_or("run");
        match self {
            Self { csv: true, .. } => format!("events-{name}.csv"),
            Self { oscal: true, .. } => format!("assessment-results-{name}.json"),
            Self { pdf: true, .. } => format!("report-{name}.pdf"),
            _ => format!("report-{name}.html"),
        }
    }

    /// Write what is asked for to `path`, in one piece.
    fn write(
        &self,
        folder: &Path,
        options: &Options,
        path: &Path,
    ) -> Result<(Written, Made), Problem> {
        let mut file = OnceFile::create(path).map_err(|error| name_taken(path, error))?;
        let mut buffer = std::io::BufWriter::with_capacity(1 << 20, &mut file);
        let written = if self.csv {
            report::write_csv(folder, options, &mut buffer)
        } else if self.oscal {
            report::write_oscal(folder, options, &mut buffer)
        } else {
            report::write(folder, options, &mut buffer)
        };
        let written = written.and_then(|written| buffer.flush().map(|()| written));
        drop(buffer);
        let made = match written {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(error)) => Err(no_report(&error)),
            Err(error) => Err(in_file(path, error)),
        };
        let made = match made {
            Ok(made) => made,
            Err(problem) => {
                file.discard();
                return Err(problem);
            }
        };
        let (sha256, size) = file.finish().map_err(|error| name_taken(path, error))?;
        let parent = path.parent().expect("an absolute file lies in a folder");
        sync_dir(parent).map_err(|error| in_file(parent, error))?;
        Ok((Written { path: path.to_owned(), size, sha256 }, made))
    }

    /// Print the report to `path`, or to files beside it that are called like it, part by part.
    async fn print(
        &self,
        common: &Common,
        folder: &Path,
        options: &Options,
        path: &Path,
    ) -> Result<(Vec<Written>, Made), Problem> {
        if path.symlink_metadata().is_ok() {
            return Err(name_taken(path, std::io::ErrorKind::AlreadyExists.into()));
        }
        let mut html = Vec::new();
        let made = report::write(folder, options, &mut html)
            .map_err(|error| Problem::internal("making the report", error))?
            .map_err(|error| no_report(&error))?;
        let html = String::from_utf8(html)
            .map_err(|error| Problem::internal("making the report", error))?;
        let parts = printed::print(&common.config()?, html, self.part.as_u64()).await?;
        let count = parts.len();
        let mut written = Vec::new();
        for (index, bytes) in parts.iter().enumerate() {
            let path = if count == 1 { path.to_owned() } else { part_of(path, index + 1, count) };
            let sha256 =
                disk::write_once(&path, bytes).map_err(|error| name_taken(&path, error))?;
            written.push(Written { path, size: bytes.len() as u64, sha256 });
        }
        Ok((written, made))
    }
}

/// `report.pdf`, part 2 of 3: `report-2-of-3.pdf`.
fn part_of(path: &Path, number: usize, count: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{number}-of-{count}.pdf"))
}

fn no_report(error: &ReportError) -> Problem {
    let message = format!("{error}; name the folder of one run");
    Problem::new(Code::InvalidField, message).field("folder")
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

fn name_taken(path: &Path, error: std::io::Error) -> Problem {
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
