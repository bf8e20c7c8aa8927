//! `exhibit log …`: the store's log for those who use and those who watch it. What a witness does
//! needs no daemon, no store and no network: files go to it and come back.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::timestamp::{Timestamp, timestamp};
use super::{Common, DONE, in_file, out};
use crate::clock::Clock;
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::LogKey;
use crate::evidence::log::read_checkpoint;
use crate::id::RunId;
use crate::qr::Qr;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::{Algorithm, MAX_NOTE, Note, NoteSigner, VerifierKey};
use crate::tlog::witness::Request;

/// For everybody to read.
const PUBLIC: u32 = 0o644;

#[derive(Debug, Subcommand)]
pub(super) enum Log {
    /// Print the newest checkpoint: keep it where the host cannot reach it
    Checkpoint {
        /// As a QR code for a camera, in a terminal
        #[arg(long)]
        qr: bool,
    },
    /// Print the proof that a sealed run stands in the log, against the newest checkpoint that a
    /// witness cosigned
    Proof {
        /// The run
        run: RunId,
        /// Write it there instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Have others watch the log, by exchanging files
    #[command(subcommand)]
    Witness(Witness),
    /// Have an authority say when the log's entries were there, by exchanging files
    #[command(subcommand)]
    Timestamp(Timestamp),
}

#[derive(Debug, Subcommand)]
pub(super) enum Witness {
    /// Print a witness's public key, making the key when there is none; at the witness
    Key(Identity),
    /// Make the request for a witness; at the daemon
    Request {
        /// Which witness it is for, by its name; needed where several saw different checkpoints last
        #[arg(long, value_name = "NAME")]
        witness: Option<String>,
        /// Size of the checkpoint the witness saw last [default: the last that it cosigned]
        #[arg(long, value_name = "SIZE")]
        old: Option<u64>,
        /// Write it there instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Cosign a request whose log continues what was seen before; at the witness
    Sign(Sign),
    /// Take in what a witness signed; at the daemon
    Add {
        /// What `sign` wrote
        file: PathBuf,
    },
    /// Say which checkpoint witnesses saw last; at the daemon
    Status,
}

/// Who a witness is.
#[derive(Debug, clap::Args)]
pub(super) struct Identity {
    /// OpenSSH private key (Ed25519) of the witness
    #[arg(long, value_name = "FILE")]
    witness_key: PathBuf,
    /// Its name, such as auditor.example/witness
    #[arg(long)]
    name: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Sign {
    #[command(flatten)]
    identity: Identity,
    /// File with the public key of the log (log.vkey)
    #[arg(long, value_name = "FILE")]
    log_key: PathBuf,
    /// File in which the witness remembers what it saw last; made at first
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// The request
    request: PathBuf,
    /// Write the cosigned note there instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn log(common: &Common, log: Log) -> Result<u8, Problem> {
    match log {
        Log::Checkpoint { qr } => {
            let note = common.client()?.text("/log/checkpoint").await?;
            if !qr {
                return hand(None, &note);
            }
            let code = Qr::of(&note).ok_or_else(|| {
                let message =
                    "the checkpoint has too many signatures for a QR code; leave out --qr";
                Problem::new(Code::InvalidField, message).field("qr")
            })?;
            // Drawn by us: block letters, and the colours that a camera needs.
            code.lines().for_each(|line| out::bytes(format!("{line}\n").as_bytes()));
            DONE
        }
        Log::Proof { run, out } => {
            hand(out.as_deref(), &common.client()?.text(&format!("/runs/{run}/proof")).await?)
        }
        Log::Timestamp(asked) => timestamp(common, asked).await,
        Log::Witness(witness) => match witness {
            Witness::Key(identity) => {
                out::line(identity.signer()?.verifier(Algorithm::Cosignature));
                DONE
            }
            Witness::Request { witness, old, out } => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                if let Some(name) = witness {
                    query.append_pair("witness", &name);
                }
                if let Some(old) = old {
                    query.append_pair("old", &old.to_string());
                }
                let request = format!("/log/request?{}", query.finish());
                let request = common.client()?.text(&request).await?;
                hand(out.as_deref(), &request)
            }
            Witness::Sign(sign) => sign.run(),
            Witness::Add { file } => {
                let note = read(&file)?;
                let told = common.client()?.post("/log/cosignatures", note).await?;
                if common.json {
                    out::json(&told);
                } else {
                    out::line(format!("{} of {}", told["witnesses"], told["size"]));
                }
                DONE
            }
            Witness::Status => status(common).await,
        },
    }
}

/// Print `text`, or write it.
fn hand(file: Option<&Path>, text: &str) -> Result<u8, Problem> {
    match file {
        None => {
            out::text(text);
        }
        Some(path) => {
            disk::replace(path, text.as_bytes(), PUBLIC).map_err(|error| in_file(path, error))?;
        }
    }
    DONE
}

fn read(path: &Path) -> Result<String, Problem> {
    let bytes = disk::read_limited(path, MAX_NOTE).map_err(|error| in_file(path, error))?;
    String::from_utf8(bytes).map_err(|error| unfit(path, "no text", error))
}

fn unfit(
    path: &Path,
    what: &str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Problem {
    let message = format!("{} is {what}; make it anew", path.display());
    Problem::new(Code::InvalidField, message).because(error)
}

async fn status(common: &Common) -> Result<u8, Problem> {
    let client = common.client()?;
    let newest = client.text("/log/checkpoint").await?;
    let stated = |text: &str| {
        let note = Note::parse(text).ok()?;
        Some((Checkpoint::parse(&note.text).ok()?, note))
    };
    let (newest, _) = stated(&newest)
        .ok_or_else(|| Problem::internal("reading the daemon's answer", "no checkpoint"))?;
    let seen = match client.text("/log/witnessed").await {
        Ok(text) => stated(&text),
        Err(problem) if problem.code == Code::NoSuchEndpoint => None,
        Err(problem) => return Err(problem),
    };
    let names = seen.as_ref().map(|(checkpoint, note)| {
        let names = note.names().filter(|name| *name != checkpoint.origin);
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    let size = seen.as_ref().map(|(checkpoint, _)| checkpoint.size);
    let asked = client.status().await?["witnesses"].clone();
    if common.json {
        let seen = json!({ "size": size, "witnesses": names });
        out::json(&json!({
            "origin": newest.origin, "size": newest.size, "witnessed": seen, "asked": asked,
        }));
        return DONE;
    }
    out::line(format!("log {}: {}", newest.origin, out::counted(newest.size, "entry")));
    match (size, names) {
        (Some(size), Some(names)) => {
            let behind = newest.size.saturating_sub(size);
            out::line(format!(
                "cosigned at {size} by {}; {behind} entries since",
                names.join(", ")
            ));
        }
        _ => out::line("no witness has cosigned a checkpoint yet"),
    }
    for (name, asked) in asked.as_object().into_iter().flatten() {
        let last = match (asked["refusal"].as_str(), asked["size"].as_u64()) {
            (Some(refusal), _) => format!("does not cosign: {refusal}"),
            (None, Some(size)) => format!("cosigned at {size}"),
            (None, None) => "not asked yet".to_owned(),
        };
        out::line(format!("{name}, asked over the network: {last}"));
    }
    DONE
}

impl Identity {
    fn signer(&self) -> Result<NoteSigner, Problem> {
        let key = LogKey::load_or_create(&self.witness_key).map_err(|error| {
            let message = format!("the witness's key cannot be used: {}", chain(&error));
            Problem::new(Code::InvalidField, message).field("witness-key")
        })?;
        key.signer(&self.name).map_err(|error| {
            let message = format!("{error}; give another");
            Problem::new(Code::InvalidField, message).field("name")
        })
    }
}

impl Sign {
    fn run(self) -> Result<u8, Problem> {
        let signer = self.identity.signer()?;
        let log: VerifierKey = read(&self.log_key)?
            .parse()
            .map_err(|error| unfit(&self.log_key, "no public key of a log", error))?;
        let request = Request::parse(&read(&self.request)?)
            .map_err(|error| unfit(&self.request, "no request for a witness", error))?;
        let seen = match read_checkpoint(&self.state) {
            Ok((_, seen)) => Some(seen),
            Err(crate::evidence::StoreError::NotFound { .. }) => None,
            Err(error) => return Err(unfit(&self.state, "no checkpoint", error)),
        };
        request.check(&log, seen.as_ref()).map_err(|refusal| {
            Problem::new(Code::LogDamaged, format!("not signed; {refusal}")).field("request")
        })?;
        // What was signed must never be forgotten: it is on disk before anybody gets it.
        disk::replace(&self.state, request.note.to_string().as_bytes(), PUBLIC)
            .map_err(|error| in_file(&self.state, error))?;
        let now = Clock::system().now().wall.as_second();
        let mut note = Note::new(request.note.text.clone());
        note.add(&signer.cosign(&note.text, u64::try_from(now).unwrap_or(0)))
            .expect("a signer writes a signature's line");
        out::note(format!(
            "{} of {}, {}",
            out::counted(request.checkpoint.size, "entry"),
            request.checkpoint.origin,
            match seen {
                Some(seen) => format!("which continue the {} seen before", seen.size),
                None => "of which nothing was seen before".to_owned(),
            }
        ));
        hand(self.out.as_deref(), &note.to_string())
    }
}
