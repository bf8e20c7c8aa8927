//! Owns the decision what may be captured: hosts by name before anything moves, addresses as the
//! browser connects to them. It decides; whoever asks it acts and records.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use url::{Host, Url};

use crate::error::{CaptureError, ErrorKind};
use crate::masks::Masks;

/// `[policy]`
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySettings {
    /// Hosts that may be captured, `*.example.com` for all below; every host when empty.
    pub allow_hosts: Vec<String>,
    /// Hosts that may not.
    pub deny_hosts: Vec<String>,
    /// Addresses nothing may be loaded from, in CIDR notation: cloud metadata services by default.
    pub deny_addresses: Vec<String>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            allow_hosts: Vec::new(),
            deny_hosts: Vec::new(),
            // The metadata services of the clouds: link-local IPv4, AWS on IPv6, Alibaba.
            deny_addresses: ["169.254.0.0/16", "fd00:ec2::254/128", "100.100.100.200/32"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

/// A range of addresses in CIDR notation (RFC 4632, RFC 4291 §2.3): `169.254.0.0/16`,
/// `fd00:ec2::254/128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange(IpNet);

/// Why a text is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a range of addresses; give one like 169.254.0.0/16 or fd00:ec2::254/128")]
pub struct BadRange;

impl FromStr for AddressRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        text.parse().map(Self).map_err(|_| BadRange)
    }
}

impl AddressRange {
    /// Whether `address` is in the range. An IPv4 address wrapped in IPv6 counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// What may be captured, ready to be asked. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Policy(Arc<Rules>);

#[derive(Debug, Default)]
struct Rules {
    allow_hosts: Vec<String>,
    deny_hosts: Vec<String>,
    deny_addresses: Vec<AddressRange>,
    /// The daemon's own TCP address.
    own: Option<SocketAddr>,
    masks: Masks,
}

impl Policy {
    /// The policy of a configuration, with what is covered, plus the daemon's own address, which
    /// nobody may capture.
    ///
    /// # Errors
    /// [`BadRange`] for a range that cannot be read.
    pub fn new(
        settings: &PolicySettings,
        masks: Masks,
        own: Option<SocketAddr>,
    ) -> Result<Self, BadRange> {
        let ranges: Result<_, _> =
            settings.deny_addresses.iter().map(|range| range.parse()).collect();
        let lower = |hosts: &[String]| hosts.iter().map(|host| host.to_lowercase()).collect();
        Ok(Self(Arc::new(Rules {
            allow_hosts: lower(&settings.allow_hosts),
            deny_hosts: lower(&settings.deny_hosts),
            deny_addresses: ranges?,
            own,
            masks,
        })))
    }

    /// What is covered in a page before it is captured.
    pub fn masks(&self) -> &Masks {
        &self.0.masks
    }

    /// Whether `url` may be asked for at all.
    ///
    /// # Errors
    /// `target_forbidden`, naming the rule.
    pub fn check_url(&self, url: &Url) -> Result<(), CaptureError> {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_lowercase();
        let rules = &self.0;
        let named = |pattern: &&String| host_matches(pattern, &host);
        if let Some(pattern) = rules.deny_hosts.iter().find(named) {
            return Err(forbidden(&host, &format!("`policy.deny_hosts` has `{pattern}`")));
        }
        if !rules.allow_hosts.is_empty() && !rules.allow_hosts.iter().any(|p| named(&p)) {
            return Err(forbidden(&host, "`policy.allow_hosts` does not list it"));
        }
        match self.denied_url(url) {
            Some(why) => Err(forbidden(&host, &why)),
            None => Ok(()),
        }
    }

    /// Why nothing may be loaded from the address that stands in `url`, if one does and so.
    pub fn denied_url(&self, url: &Url) -> Option<String> {
        let address = match url.host()? {
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
            Host::Domain(_) => return None,
        };
        self.denied(address, url.port_or_known_default())
    }

    /// Why nothing may be loaded from `address` (and `port`), if so.
    pub fn denied(&self, address: IpAddr, port: Option<u16>) -> Option<String> {
        let address = address.to_canonical();
        if let Some(own) = self.0.own
            && port == Some(own.port())
            && (address == own.ip() || address.is_loopback())
        {
            return Some("it is this daemon itself".to_owned());
        }
        let ranges = &self.0.deny_addresses;
        let range = ranges.iter().find(|range| range.contains(address))?;
        Some(format!("`policy.deny_addresses` has `{}`", range.0))
    }
}

fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => pattern == host,
    }
}

fn forbidden(host: &str, why: &str) -> CaptureError {
    let message =
        format!("`url` names the host `{host}`, which policy forbids ({why}); ask the operator");
    CaptureError::new(ErrorKind::TargetForbidden, message).field("url")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], deny: &[&str], addresses: &[&str]) -> Policy {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        let settings = PolicySettings {
            allow_hosts: owned(allow),
            deny_hosts: owned(deny),
            deny_addresses: owned(addresses),
        };
        let own = Some("127.0.0.1:8642".parse().expect("an address"));
        Policy::new(&settings, Masks::default(), own).expect("sound")
    }

    fn allows(policy: &Policy, url: &str) -> bool {
        policy.check_url(&url.parse().expect("an address")).is_ok()
    }

    #[test]
    fn hosts_are_judged_by_name() {
        let policy = policy(&["*.bank.example", "desk.example"], &["secret.bank.example"], &[]);
        assert!(allows(&policy, "https://desk.example/"));
        assert!(allows(&policy, "https://a.b.bank.example/"));
        assert!(allows(&policy, "https://A.BANK.example./"));
        for url in [
            "https://bank.example/",
            "https://evilbank.example/",
            "https://secret.bank.example/",
            "https://SECRET.bank.example./",
            "https://desk.example.evil.example/",
            "https://desk.example@evil.example/",
        ] {
            assert!(!allows(&policy, url), "{url}");
        }
    }

    #[test]
    fn addresses_are_judged_however_they_are_spelled() {
        let policy = policy(&[], &[], &["169.254.0.0/16", "fd00:ec2::254/128"]);
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://0251.0376.0251.0376/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fd00:ec2::254]/",
            "http://127.0.0.1:8642/v1/runs",
            "http://127.9.9.9:8642/",
        ] {
            assert!(!allows(&policy, url), "{url}");
        }
        assert!(allows(&policy, "http://127.0.0.1:8080/"));
        assert!(allows(&policy, "http://10.0.0.7/"));
        assert!(policy.denied("::ffff:169.254.1.1".parse().expect("an address"), None).is_some());
    }

    #[test]
    fn ranges_cover_what_they_say() {
        let all: AddressRange = "0.0.0.0/0".parse().expect("sound");
        assert!(all.contains("203.0.113.9".parse().expect("an address")));
        let one: AddressRange = "100.100.100.200/32".parse().expect("sound");
        assert!(!one.contains("100.100.100.201".parse().expect("an address")));
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "x/8", "::/129", "10.0.0.0/-1"] {
            assert_eq!(bad.parse::<AddressRange>(), Err(BadRange), "{bad}");
        }
    }
}
