//! `exhibit open`: a link that signs in to the web page.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Common, DONE, out};
use crate::disk;
use crate::error::Problem;

#[derive(Debug, clap::Args)]
pub(super) struct Open {
    /// Only print the link, open no browser
    #[arg(long)]
    print: bool,
}

pub(super) async fn open(common: &Common, open: Open) -> Result<u8, Problem> {
    let answer = common.client()?.sign_in_link().await?;
    if common.json {
        out::json(&answer);
        return DONE;
    }
    let url = answer["url"].as_str().unwrap_or_default();
    out::line(url);
    out::note(format!("works once, within {} seconds", answer["expires_in_s"]));
    if !open.print
        && let Some(folder) = desktop()
        && let Err(error) = show(&folder, url)
    {
        out::note(format!("no browser was opened ({error}); open the link yourself"));
    }
    DONE
}

/// The private folder of a user who sits at a display. A browser is no program for root.
fn desktop() -> Option<PathBuf> {
    let display =
        ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !display || rustix::process::geteuid().is_root() {
        return None;
    }
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir())
}

/// Have the desktop's browser open `url`, by way of a file for this user alone: every user can read
/// the arguments of a program, and the link is as good as the session.
fn show(folder: &Path, url: &str) -> std::io::Result<()> {
    let path = folder.join("exhibit-open.html");
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\"><title>Exhibit</title>\
         <p><a href=\"{url}\">Sign in</a></p>\n"
    );
    disk::replace(&path, page.as_bytes(), 0o600)?;
    let mut command = Command::new("xdg-open");
    command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}
