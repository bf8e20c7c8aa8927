//! Owns how the address of a page is told: whose it is, whole and in ASCII, apart from the rest of
//! it; and the whole of it, in which the host is never shortened.

use url::{Host, Position, Url};

use super::words::{Style, Words};

/// Longest host that is shown: a name has at most 253 characters (RFC 1035).
const HOST: usize = 300;
/// Most characters of what comes before the host, and of what comes after it.
const USER: usize = 60;
const REST: usize = 360;

/// The address of a page, in the words of the browser or of a caller.
#[derive(Clone, Debug)]
pub struct Address<'a> {
    text: &'a str,
    url: Option<Url>,
}

impl<'a> Address<'a> {
    /// The address that `text` is.
    pub fn of(text: &'a str) -> Self {
        Self { text, url: text.parse().ok() }
    }

    /// Whose it is: the host, whole, in it the part that somebody owns, and how it was asked.
    pub fn host(&self) -> Words {
        let words = Words::default();
        let Some(url) = &self.url else {
            return words.marked(" none ").plain(": that is no address");
        };
        let Some(host) = url.host_str() else {
            let words = words.marked(" none ").plain(": the address begins with ");
            return words.quoted(url.scheme(), USER);
        };
        if host.len() > HOST {
            return words.marked(&format!(" none that there can be: {} characters ", host.len()));
        }
        let own = match url.host() {
            Some(Host::Domain(name)) => psl::domain_str(name).unwrap_or(name),
            _ => host,
        };
        let above = host.strip_suffix(own).unwrap_or_default();
        let own = host.strip_prefix(above).unwrap_or(host);
        let words = words.foreign(above, HOST, Style::Bold).foreign(own, HOST, Style::Marked);
        let words = match url.port() {
            Some(port) => words.plain(&format!(" port {port}")),
            None => words,
        };
        let puny = host.split('.').any(|label| label.starts_with("xn--"));
        let words = if puny { words.plain(", not in plain letters (punycode)") } else { words };
        match url.scheme() {
            "https" => words.plain(", https"),
            "http" => words.plain(", http (not encrypted)"),
            other => words.plain(", ").quoted(other, USER),
        }
    }

    /// The whole of it; what is long is shortened, the host never.
    pub fn whole(&self) -> Words {
        let words = Words::default();
        let Some(url) = &self.url else {
            return words.foreign(self.text, REST, Style::Plain);
        };
        let (user, host) =
            (&url[..Position::BeforeHost], &url[Position::BeforeHost..Position::AfterHost]);
        let rest = &url[Position::AfterHost..];
        let words = words.foreign(user, USER, Style::Plain);
        let words = if host.len() > HOST {
            words.marked(&format!(" {} characters ", host.len()))
        } else {
            words.foreign(host, HOST, Style::Bold)
        };
        words.foreign(rest, REST, Style::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host's words, and those of them that are marked.
    fn host(text: &str) -> (String, String) {
        let words = Address::of(text).host();
        let marked = words.cells().iter().filter(|(_, style)| *style == Style::Marked);
        (words.text(), marked.map(|(one, _)| one).collect())
    }

    #[test]
    fn whose_a_page_is_stands_apart_whatever_its_address_pretends() {
        for (text, told, own) in [
            ("https://bank.com@evil.com/", "evil.com, https", "evil.com"),
            ("https://bank.com:443@evil.com:8443/", "evil.com port 8443, https", "evil.com"),
            ("https://bank.com\\@evil.com/", "bank.com, https", "bank.com"),
            (
                "http://bank.com.login.evil.co.uk/bank.com/",
                "bank.com.login.evil.co.uk, http (not encrypted)",
                "evil.co.uk",
            ),
            ("https://evil.com?https://bank.com/", "evil.com, https", "evil.com"),
            ("https://evil.com#@bank.com", "evil.com, https", "evil.com"),
            // Cyrillic letters that look like Latin ones.
            (
                "https://\u{430}\u{440}\u{440}\u{4cf}\u{435}.com/",
                "xn--80ak6aa92e.com, not in plain letters (punycode), https",
                "xn--80ak6aa92e.com",
            ),
            ("https://bank.com\u{3002}evil.com/", "bank.com.evil.com, https", "evil.com"),
            ("http://127.0.0.1:8080/a", "127.0.0.1 port 8080, http (not encrypted)", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1, http (not encrypted)", "127.0.0.1"),
            ("http://[::1]/", "[::1], http (not encrypted)", "[::1]"),
            ("http://localhost/", "localhost, http (not encrypted)", "localhost"),
            ("https://evil.com./", "evil.com., https", "evil.com."),
            ("https://a.github.io/", "a.github.io, https", "a.github.io"),
            ("about:blank", " none : the address begins with \"about\"", " none "),
            ("evil.com", " none : that is no address", " none "),
            ("", " none : that is no address", " none "),
        ] {
            assert_eq!(host(text), (told.to_owned(), own.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_longest_host_is_whole_in_the_longest_address() {
        let labels = ["www-bank-example-com-account"; 8].join(".");
        let name = format!("{labels}.evil.example");
        let text = format!("https://{}@{name}/{}?end", "u".repeat(5_000), "a/".repeat(500_000));
        let (told, own) = host(&text);
        assert_eq!((told, own.as_str()), (format!("{name}, https"), "evil.example"));
        let whole = Address::of(&text).whole();
        assert!(whole.cells().len() < 1_000);
        let whole = whole.text();
        assert!(whole.contains(&format!("@{name}/a/a/")) && whole.ends_with("/a/?end"), "{whole}");
        assert!(whole.contains("characters left out"), "{whole}");
        let none = format!("https://{}.com/", "a".repeat(5_000));
        assert!(Address::of(&none).whole().cells().len() < 100);
        assert!(host(&none).0.contains("none that there can be"));
    }

    #[test]
    fn nothing_in_an_address_is_drawn_that_cannot_be_seen() {
        let text = "https://evil.com/\u{202e}moc.knab//:sptth \u{200b}\\\n\"";
        let whole = Address::of(text).whole().text();
        assert_eq!(whole, "https://evil.com/%E2%80%AEmoc.knab//:sptth%20%E2%80%8B/%22");
        let whole = Address::of("evil\u{202e}.com").whole().text();
        assert_eq!(whole, "evil\\u{202e}.com");
    }
}
