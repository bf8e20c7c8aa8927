//! Owns the rules across configuration keys, and those that need a look at the file system: each
//! rule looks at a whole [`Config`] and names the key to change. Changes nothing.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::Config;

/// Longest path of a Unix socket: `sun_path` is 108 bytes with its closing zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// A key and what is wrong with its value.
type Finding = (&'static str, String);

/// Everything wrong with `config` that the reading of single values cannot see.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    sockets(config, &mut findings);
    limits(config, &mut findings);
    names(config, &mut findings);
    places(config, &mut findings);
    findings.extend(config.backend.hosted.problems());
    findings
}

fn sockets(config: &Config, findings: &mut Vec<Finding>) {
    let length = config.daemon.socket.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        let message = format!(
            "the path is {length} bytes long; the system allows {MAX_SOCKET_PATH}: choose a \
             shorter one, such as \"/run/exhibit/exhibit.sock\""
        );
        findings.push(("daemon.socket", message));
    }
    if let Some(address) = config.daemon.listen
        && !address.ip().is_loopback()
    {
        let message = format!(
            "{address} can be reached from other machines; only loopback is served: write \
             \"127.0.0.1:{}\" or \"[::1]:{}\"",
            address.port(),
            address.port()
        );
        findings.push(("daemon.listen", message));
    }
    if let Some(url) = &config.web.url
        && url.scheme() == "http"
        && !is_loopback(url)
    {
        let message = format!(
            "`{url}` would show evidence in the clear on a network; write an https address, or a \
             loopback one"
        );
        findings.push(("web.url", message));
    }
    if config.daemon.max_connections_per_peer > config.daemon.max_connections {
        let message = format!(
            "one peer could hold all {} connections; write {} or fewer",
            config.daemon.max_connections, config.daemon.max_connections
        );
        findings.push(("daemon.max_connections_per_peer", message));
    }
    for (key, time) in
        [("daemon.head_limit", config.daemon.head_limit), ("daemon.idle", config.daemon.idle)]
    {
        if time < Duration::from_secs(1) {
            let message = "is too short for anybody to ask; write \"1s\" or more".to_owned();
            findings.push((key, message));
        }
    }
    if config.daemon.socket_mode & 0o006 != 0 {
        let message = format!(
            "{:#05o} lets every user of this machine capture; use a group: socket_mode = \"0660\" \
             with socket_group",
            config.daemon.socket_mode
        );
        findings.push(("daemon.socket_mode", message));
    }
}

/// Whether `url` leads to this machine by its name: browsers resolve nothing below `localhost`
/// (RFC 6761).
fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn limits(config: &Config, findings: &mut Vec<Finding>) {
    let (second, zero) = (Duration::from_secs(1), Duration::ZERO);
    if config.capture.deadline <= second {
        let message = "no page can be captured in so little time; write more than \"1s\", such as \
                       \"90s\"";
        findings.push(("capture.deadline", message.into()));
    }
    let positive = [
        ("browser.probe_every", config.browser.probe_every),
        ("browser.patience", config.browser.patience),
        ("transparency.heartbeat", config.transparency.heartbeat),
        ("transparency.cosign_every", config.transparency.cosign_every),
        ("integrity.rest", config.integrity.rest),
        ("integrity.hook_limit", config.integrity.hook_limit),
        ("timestamp.every", config.timestamp.every),
        ("runs.idle", config.runs.idle),
        ("runs.max_duration", config.runs.max_duration),
        ("sessions.idle", config.sessions.idle),
        ("sessions.max_duration", config.sessions.max_duration),
        ("video.max_duration", config.video.max_duration),
        ("web.session", config.web.session),
    ];
    for (key, value) in positive {
        if value == zero {
            findings.push((key, "must be longer than nothing; write \"1s\" or more".into()));
        }
    }
    if config.runs.idle > config.runs.max_duration {
        let message = "longer than runs.max_duration, so it would never apply; make it shorter, or \
                       runs.max_duration longer";
        findings.push(("runs.idle", message.into()));
    }
    if config.sessions.idle > config.sessions.max_duration {
        let message = "longer than sessions.max_duration, so it would never apply; make it \
                       shorter, or sessions.max_duration longer";
        findings.push(("sessions.idle", message.into()));
    }
    for (key, value) in [
        ("capture.max_body", config.capture.max_body),
        ("runs.max_attachment", config.runs.max_attachment),
    ] {
        if value == 0 {
            findings
                .push((key, "would refuse everything; write a size, such as \"10 MiB\"".into()));
        }
    }
}

fn names(config: &Config, findings: &mut Vec<Finding>) {
    let principal = &config.keys.principal;
    // The name becomes the first field of an `allowed_signers` line, where blanks, commas, quotes
    // and wild-cards have a meaning (ssh-keygen(1), ALLOWED SIGNERS).
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
    if !principal.bytes().all(plain) {
        let message = format!(
            "`{principal}` cannot stand in an allowed_signers file; use letters, digits and . _ - @ +"
        );
        findings.push(("keys.principal", message));
    }
    let lists = [
        ("policy.allow_hosts", &config.policy.allow_hosts),
        ("policy.deny_hosts", &config.policy.deny_hosts),
    ];
    for (key, hosts) in lists {
        for host in hosts.iter().filter(|host| !is_host_pattern(host)) {
            let message = format!(
                "`{host}` is no host; write a host name or an address without scheme, port and \
                 path, such as \"shop.example.com\", or \"*.example.com\" for all below"
            );
            findings.push((key, message));
        }
    }
    // A rule that ends its style rule would end the masking, too.
    let is_rule = |rule: &&String| !rule.trim().is_empty() && !rule.contains(['{', '}', ';', '<']);
    for rule in config.privacy.mask.iter().filter(|rule| !is_rule(rule)) {
        let message = format!("`{rule}` is no CSS selector; write one, such as \".iban\"");
        findings.push(("privacy.mask", message));
    }
    for kind in config.privacy.mask_inputs.iter().filter(|kind| !is_input(kind)) {
        let message = format!(
            "`{kind}` is no type of input fields; write one, such as \"password\" or \"email\""
        );
        findings.push(("privacy.mask_inputs", message));
    }
    for network in config.policy.deny_addresses.iter().filter(|network| !is_network(network)) {
        let message = format!(
            "`{network}` is no network; write an address, a slash and a number of bits, such as \
             \"10.0.0.0/8\" or \"fd00::/8\""
        );
        findings.push(("policy.deny_addresses", message));
    }
    if let Err(error) = config.log.filter.parse::<tracing_subscriber::filter::EnvFilter>() {
        let message = format!(
            "`{}` is no filter ({error}); write \"info\", or \"info,exhibit=debug\"",
            config.log.filter
        );
        findings.push(("log.filter", message));
    }
}

/// Why a file cannot be run as a program, if so.
fn unusable_program(path: &Path) -> Option<String> {
    let shown = path.display();
    match path.metadata() {
        Err(error) => Some(format!("{shown}: {error}")),
        Ok(facts) if !facts.is_file() => Some(format!("{shown} is no file")),
        Ok(facts) if facts.permissions().mode() & 0o111 == 0 => {
            Some(format!("{shown} cannot be executed"))
        }
        Ok(_) => None,
    }
}

fn places(config: &Config, findings: &mut Vec<Finding>) {
    let programs = [
        (
            "browser.path",
            &config.browser.path,
            "name Chromium's binary, or write \"\" to have it searched for",
        ),
        ("video.ffmpeg", &config.video.ffmpeg, "name ffmpeg's binary, or write \"\" to do without"),
    ];
    for (key, path, remedy) in programs {
        if let Some(problem) = path.as_deref().and_then(unusable_program) {
            findings.push((key, format!("{problem}; {remedy}")));
        }
    }
    let parent = |path: &Path| path.parent().map_or_else(|| path.to_owned(), Path::to_owned);
    let folders = [
        ("daemon.socket", parent(&config.daemon.socket)),
        ("store.path", config.store.path.clone()),
        ("keys.signing", parent(&config.keys.signing)),
        ("keys.api", parent(&config.keys.api)),
        ("browser.runtime", config.browser.runtime.clone()),
    ];
    for (key, folder) in folders {
        if let Some(message) = unreachable_folder(&folder) {
            findings.push((key, message));
        }
    }
}

/// Why `folder` cannot come to be. The daemon makes a folder and the one above it; what is missing
/// above those is more likely a slip of the pen than a wish.
fn unreachable_folder(folder: &Path) -> Option<String> {
    let existing = folder.ancestors().find(|above| above.symlink_metadata().is_ok())?;
    if !existing.is_dir() {
        return Some(format!("{} is no folder; choose another place", existing.display()));
    }
    let missing = folder.ancestors().take_while(|above| *above != existing).count();
    if missing <= 2 {
        return None;
    }
    let needed = folder.ancestors().nth(2).unwrap_or(folder).display();
    Some(format!("there is no folder {needed}; make it (mkdir -p {needed}), or correct the path"))
}

fn is_input(kind: &str) -> bool {
    !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
}

/// A host name, an IP address, or `*.` and a host name.
fn is_host_pattern(pattern: &str) -> bool {
    let host = pattern.strip_prefix("*.").unwrap_or(pattern);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() && !pattern.starts_with('*')
        || host.len() <= 253 && host.trim_end_matches('.').split('.').all(label)
}

/// A network in CIDR notation (RFC 4632, RFC 4291), or a single address.
fn is_network(text: &str) -> bool {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    match bits {
        None => true,
        Some(bits) => {
            let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
            digits && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        }
    }
}
