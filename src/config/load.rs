//! Owns the way from the text of a configuration file to a [`Config`]: which key is read how. All
//! problems are reported at once. Does not decide what a daemon does with the values.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use toml::de::DeValue;
use url::Url;

use super::daemon::daemon;
use super::problem::{ConfigErrors, ConfigProblem};
use super::read::{self, Document};
use super::retention::{retention, unknown_classes};
use super::room::{quotas, store};
use super::workflows::workflows;
use super::{
    Backend, Capture, CodePlaces, Config, Events, Fallback, Hosted, Integrity, KEYS, Keys, Log,
    LogFormat, Runs, Sessions, Timestamping, Transparency, Video, Web, Witness, check,
};
use crate::backend::chromium::BrowserSettings;
use crate::disk;
use crate::evidence::KeyKind;
use crate::masks::MaskSettings;
use crate::policy::PolicySettings;
use crate::redact::Rule;
use crate::tlog::note::{Algorithm, VerifierKey, check_name};
use crate::video::Source;

/// Largest configuration file: a bigger one is some other file.
const MAX_FILE: u64 = 1024 * 1024;

/// Read and check the configuration in `file`. Relative paths in it are resolved against its
/// folder.
///
/// # Errors
/// Everything that is wrong, each with file, line, key and remedy.
pub fn load(file: &Path) -> Result<Config, ConfigErrors> {
    load_text(&text_of(file)?, file)
}

/// Whether `file` is another program's: TOML of which no table is known here. What cannot be read as
/// TOML, and what is empty, may be ours with a mistake in it.
pub fn is_of_another_program(file: &Path) -> bool {
    let ours = |name: &str| KEYS.iter().any(|key| key.name.split('.').next() == Some(name));
    let Some(table) = text_of(file).ok().and_then(|text| text.parse::<toml::Table>().ok()) else {
        return false;
    };
    !table.is_empty() && !table.keys().any(|name| ours(name) || name == "workflows")
}

/// The text of `file`.
pub(super) fn text_of(file: &Path) -> Result<String, ConfigErrors> {
    let about_file = |message: String| {
        let file = file.to_owned();
        ConfigErrors(vec![ConfigProblem { file, line: None, key: String::new(), message }])
    };
    let bytes = disk::read_limited(file, MAX_FILE).map_err(|error| {
        about_file(format!(
            "cannot be read: {error}; name the file with --config, or copy the shipped config.toml"
        ))
    })?;
    String::from_utf8(bytes).map_err(|_| about_file("not UTF-8 text; save it as UTF-8".into()))
}

/// Read and check `text`, which `file` holds, and how `file` is kept.
pub(super) fn load_text(text: &str, file: &Path) -> Result<Config, ConfigErrors> {
    let config = parse(text, file)?;
    match key_in_the_open(&config, file) {
        None => Ok(config),
        Some(message) => {
            let (file, key) = (file.to_owned(), "backend.hosted.key".to_owned());
            Err(ConfigErrors(vec![ConfigProblem { file, line: None, key, message }]))
        }
    }
}

/// What is wrong with a key that stands in a file which everybody can read.
fn key_in_the_open(config: &Config, file: &Path) -> Option<String> {
    config.backend.hosted.key.as_ref()?;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let shown = file.display();
    (mode & 0o007 != 0).then(|| {
        format!(
            "stands in a file that every user can read (mode {mode:o}); write `key_file` instead, \
             or chmod o= {shown}"
        )
    })
}

/// Read and check `text`, the content of `file`.
///
/// # Errors
/// Everything that is wrong, each with file, line, key and remedy.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigErrors> {
    let mut document = Document::new(file, text);
    let default = Config::default();
    let mut config = Config {
        daemon: daemon(&mut document, default.daemon),
        store: store(&mut document, default.store),
        quotas: quotas(&mut document, &default.quotas),
        keys: keys(&mut document, default.keys),
        integrity: integrity(&mut document, default.integrity),
        transparency: transparency(&mut document, default.transparency),
        timestamp: timestamp(&mut document, default.timestamp),
        browser: browser(&mut document, default.browser),
        capture: capture(&mut document, &default.capture),
        policy: policy(&mut document, default.policy),
        privacy: privacy(&mut document, default.privacy),
        runs: runs(&mut document, &default.runs),
        code: code(&mut document, default.code),
        events: events(&mut document, default.events),
        retention: retention(&mut document, default.retention),
        workflows: workflows(&mut document, default.workflows),
        sessions: sessions(&mut document, &default.sessions),
        video: video(&mut document, &default.video),
        backend: Backend { hosted: hosted(&mut document, default.backend.hosted) },
        web: web(&mut document, default.web),
        log: log(&mut document, default.log),
    };
    resolve(&mut config, &folder_of(file));
    let (lines, mut problems) = document.finish();
    // A key that could not be read has its default here; its own problem is said already.
    let found = check::check(&config).into_iter().map(|(key, message)| (key.to_owned(), message));
    for (key, message) in found.chain(unknown_classes(&config)) {
        if !problems.iter().any(|problem| problem.key == key) {
            let line = lines.get(&key).copied();
            let file = file.to_owned();
            problems.push(ConfigProblem { file, line, key, message });
        }
    }
    problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
    if problems.is_empty() { Ok(config) } else { Err(ConfigErrors(problems)) }
}

fn keys(document: &mut Document<'_>, default: Keys) -> Keys {
    let mut table = document.table("keys");
    let keys = Keys {
        signing: table.get("signing", default.signing, read::path),
        algorithm: table.get("algorithm", default.algorithm, key_kind),
        agent: table.option("agent", default.agent, agent),
        principal: table.get("principal", default.principal, read::text),
        api: table.get("api", default.api, read::path),
        log: table.option("log", default.log, read::path),
    };
    table.finish();
    keys
}

fn key_kind(value: &DeValue<'_>) -> Result<KeyKind, String> {
    let word = read::text(value)?;
    KeyKind::parse(&word).ok_or_else(|| {
        let known = KeyKind::ALL.map(|kind| format!("\"{}\"", kind.word())).join(" or ");
        format!("`{word}` is no kind of key; write {known}")
    })
}

fn agent(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = read::path(value)?;
    // A daemon's environment is not its operator's.
    if path.as_os_str() == "env" || path.to_string_lossy().starts_with('$') {
        return Err("the environment is not asked; write the path of the agent's socket".into());
    }
    Ok(path)
}

fn integrity(document: &mut Document<'_>, default: Integrity) -> Integrity {
    let mut table = document.table("integrity");
    let integrity = Integrity {
        pace: table.get("pace", default.pace, read::size),
        rest: table.get("rest", default.rest, read::duration),
        watch: table.get("watch", default.watch, read::switch),
        hook: table.get("hook", default.hook, read::list),
        hook_limit: table.get("hook_limit", default.hook_limit, read::duration),
        guard: table.option("guard", default.guard, read::path),
    };
    table.finish();
    integrity
}

fn transparency(document: &mut Document<'_>, default: Transparency) -> Transparency {
    let mut table = document.table("transparency");
    let transparency = Transparency {
        origin: table.option("origin", default.origin, |value| {
            let name = read::text(value)?;
            check_name(&name).map(|()| name).map_err(|error| format!("{error}; write another"))
        }),
        heartbeat: table.get("heartbeat", default.heartbeat, read::duration),
        moved_from: table.option("moved_from", default.moved_from, read::text),
        witnesses: table.get("witnesses", default.witnesses, |value| {
            let keys = read::list(value)?;
            keys.iter().map(|line| witness(line)).collect()
        }),
        cosign_every: table.get("cosign_every", default.cosign_every, read::duration),
    };
    table.finish();
    transparency
}

fn witness(line: &str) -> Result<Witness, String> {
    let (key, url) = line.split_once(' ').map_or((line, None), |(key, url)| (key, Some(url)));
    let url = url.map(|url| plain_url(url.trim(), "https://witness.example/")).transpose()?;
    let read = key.parse::<VerifierKey>().map_err(|error| error.to_string());
    match read {
        Ok(key) if key.algorithm() == Algorithm::Cosignature => Ok(Witness { key, url }),
        Ok(_) => Err(format!("`{key}` is the key of a log, not of a witness; write a witness's")),
        Err(error) => {
            Err(format!("{error}; write what `exhibit log witness key` prints, not `{key}`"))
        }
    }
}

/// An address of somebody who is only asked, without a name and a password.
fn plain_url(text: &str, such_as: &str) -> Result<Url, String> {
    match text.parse::<Url>() {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none() =>
        {
            Ok(url)
        }
        _ => Err(format!(
            "write an http or https address without a name and a password, such as \"{such_as}\", \
             not `{text}`"
        )),
    }
}

fn timestamp(document: &mut Document<'_>, default: Timestamping) -> Timestamping {
    let mut table = document.table("timestamp");
    let timestamp = Timestamping {
        url: table.option("url", default.url, |value| {
            plain_url(&read::text(value)?, "http://tsa.internal/")
        }),
        authorities: table.option("authorities", default.authorities, read::path),
        every: table.get("every", default.every, read::duration),
        patience: table.get("patience", default.patience, read::duration),
    };
    table.finish();
    timestamp
}

fn browser(document: &mut Document<'_>, default: BrowserSettings) -> BrowserSettings {
    let mut table = document.table("browser");
    let browser = BrowserSettings {
        path: table.option("path", default.path, read::path),
        sandbox: table.get("sandbox", default.sandbox, read::switch),
        runtime: table.get("runtime", default.runtime, read::path),
        prepared: table.get("prepared", default.prepared, read::number(0..=16)),
        recycle_after: table.get(
            "recycle_after",
            default.recycle_after,
            read::number(1..=1_000_000),
        ),
        probe_every: table.get("probe_every", default.probe_every, read::duration),
        patience: table.get("patience", default.patience, read::duration),
    };
    table.finish();
    browser
}

fn capture(document: &mut Document<'_>, default: &Capture) -> Capture {
    let mut table = document.table("capture");
    let capture = Capture {
        concurrent: table.get("concurrent", default.concurrent, read::number(1..=64)),
        queue: table.get("queue", default.queue, read::number(0..=100_000)),
        deadline: table.get("deadline", default.deadline, read::duration),
        max_body: table.get("max_body", default.max_body, read::size),
        max_pixels: table.get("max_pixels", default.max_pixels, read::number(1..=4_000_000_000)),
        snapshot: table.get("snapshot", default.snapshot, read::switch),
        framed: table.get("framed", default.framed, read::switch),
    };
    table.finish();
    capture
}

fn policy(document: &mut Document<'_>, default: PolicySettings) -> PolicySettings {
    let mut table = document.table("policy");
    let policy = PolicySettings {
        allow_hosts: table.get("allow_hosts", default.allow_hosts, read::list),
        deny_hosts: table.get("deny_hosts", default.deny_hosts, read::list),
        deny_addresses: table.get("deny_addresses", default.deny_addresses, read::list),
    };
    table.finish();
    policy
}

fn privacy(document: &mut Document<'_>, default: MaskSettings) -> MaskSettings {
    let mut table = document.table("privacy");
    let privacy = MaskSettings {
        mask: table.get("mask", default.mask, read::list),
        mask_inputs: table.get("mask_inputs", default.mask_inputs, read::list),
    };
    table.finish();
    privacy
}

fn runs(document: &mut Document<'_>, default: &Runs) -> Runs {
    let mut table = document.table("runs");
    let runs = Runs {
        max_open: table.get("max_open", default.max_open, read::number(1..=100_000)),
        idle: table.get("idle", default.idle, read::duration),
        max_duration: table.get("max_duration", default.max_duration, read::duration),
        max_events: table.get("max_events", default.max_events, read::number(1..=100_000_000)),
        max_attachment: table.get("max_attachment", default.max_attachment, read::size),
    };
    table.finish();
    runs
}

fn code(document: &mut Document<'_>, default: CodePlaces) -> CodePlaces {
    let mut table = document.table("code");
    let code = CodePlaces {
        work_trees: table.get("work_trees", default.work_trees, |value| {
            let folders = read::list(value)?;
            let unfit = folders.iter().find(|folder| {
                let path = Path::new(folder);
                !path.is_absolute() || path == Path::new("/") || !path.is_dir()
            });
            match unfit {
                None => Ok(folders),
                Some(folder) => Err(format!(
                    "`{folder}` cannot be opened to agents; write absolute paths of folders that \
                     are there, and not `/`"
                )),
            }
        }),
    };
    table.finish();
    code
}

fn events(document: &mut Document<'_>, default: Events) -> Events {
    let mut table = document.table("events");
    let events = Events {
        max_size: table.get("max_size", default.max_size, |value| match read::size(value)? {
            size if (1024..=4 << 20).contains(&size) => Ok(size),
            _ => Err("write a size from \"1 KiB\" to \"4 MiB\"".into()),
        }),
        redact: table.get("redact", default.redact, |value| {
            let rules = read::list(value)?;
            rules.iter().map(|rule| Rule::parse(rule).map_err(|why| why.to_string())).collect()
        }),
    };
    table.finish();
    events
}

fn sessions(document: &mut Document<'_>, default: &Sessions) -> Sessions {
    let mut table = document.table("sessions");
    let sessions = Sessions {
        max: table.get("max", default.max, read::number(0..=1_000)),
        idle: table.get("idle", default.idle, read::duration),
        max_duration: table.get("max_duration", default.max_duration, read::duration),
    };
    table.finish();
    sessions
}

fn hosted(document: &mut Document<'_>, default: Hosted) -> Hosted {
    let mut table = document.table("backend.hosted");
    let hosted = Hosted {
        base_url: table.option("base_url", default.base_url, read::url),
        key: table.secret("key"),
        key_file: table.option("key_file", default.key_file, read::path),
        timeout: table.get("timeout", default.timeout, read::duration),
        retries: table.get("retries", default.retries, read::number(0..=10)),
        max_response: table.get("max_response", default.max_response, read::size),
        fallback: table.get("fallback", default.fallback, |value| match value.as_str() {
            Some("none") => Ok(Fallback::None),
            Some("chromium") => Ok(Fallback::Chromium),
            _ => Err("write \"none\" or \"chromium\"".into()),
        }),
        workflows: table.get("workflows", default.workflows, read::list),
        callers: table.get("callers", default.callers, read::list),
    };
    table.finish();
    hosted
}

fn video(document: &mut Document<'_>, default: &Video) -> Video {
    let mut table = document.table("video");
    let video = Video {
        source: table.get("source", default.source, |value| match value.as_str() {
            Some("auto") => Ok(None),
            Some("screencast") => Ok(Some(Source::Screencast)),
            Some("recorder") => Ok(Some(Source::Recorder)),
            _ => Err("write \"auto\", \"screencast\" or \"recorder\"".into()),
        }),
        max: table.get("max", default.max, read::number(0..=64)),
        max_duration: table.get("max_duration", default.max_duration, read::duration),
        max_bytes: table.get("max_bytes", default.max_bytes, read::size),
        ffmpeg: table.option("ffmpeg", default.ffmpeg.clone(), read::path),
    };
    table.finish();
    video
}

fn web(document: &mut Document<'_>, default: Web) -> Web {
    let mut table = document.table("web");
    let web = Web {
        viewers: table.get("viewers", default.viewers, read::numbers),
        url: table.option("url", default.url, |value| match read::url(value)? {
            url if is_origin(&url) => Ok(url),
            _ => {
                Err("write scheme, name and port alone, such as \"https://evidence.internal\" or \
                      \"http://exhibit.localhost:8420\""
                    .into())
            }
        }),
        session: table.get("session", default.session, read::duration),
    };
    table.finish();
    web
}

/// Whether `url` is no more than scheme, name and port.
fn is_origin(url: &url::Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

fn log(document: &mut Document<'_>, default: Log) -> Log {
    let mut table = document.table("log");
    let log = Log {
        filter: table.get("filter", default.filter, read::text),
        format: table.get("format", default.format, |value| match value.as_str() {
            Some("auto") => Ok(LogFormat::Auto),
            Some("human") => Ok(LogFormat::Human),
            Some("json") => Ok(LogFormat::Json),
            _ => Err("write \"auto\", \"human\" or \"json\"".into()),
        }),
    };
    table.finish();
    log
}

/// The folder `file` is in, absolute.
fn folder_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

/// Make every path absolute. `join` leaves paths alone that already are.
fn resolve(config: &mut Config, folder: &Path) {
    let paths = [
        &mut config.daemon.socket,
        &mut config.store.path,
        &mut config.keys.signing,
        &mut config.keys.api,
        &mut config.browser.runtime,
    ];
    let optional = [
        config.browser.path.as_mut(),
        config.keys.log.as_mut(),
        config.keys.agent.as_mut(),
        config.backend.hosted.key_file.as_mut(),
    ];
    for path in paths.into_iter().chain(optional.into_iter().flatten()) {
        *path = folder.join(&*path);
    }
}
