//! Owns what is to be captured, after validation: plain values a backend can carry out without
//! looking anything up, and the form in which they are put on record (secrets left out).

mod altered;
mod capture;
pub mod device;
mod locale;
mod outline;
mod page;
pub mod pdf;
mod picture;
pub mod sequence;

use std::fmt;

use serde::Serialize;
use url::Url;

pub use altered::alteration;
pub use capture::{CaptureSettings, Product};
pub use locale::Locale;
pub use outline::{Observation, ObservationForm};
pub use page::{
    AuthState, Cookie, Edits, Geolocation, MediaType, OriginStorage, PageSettings, SameSite,
    Target, Viewport, WaitUntil, is_another_document,
};
pub use picture::{Format, FullPage, Picture, Rect, Region};

/// `url` with user name and password replaced by a mark, as it may be shown and put on record.
pub fn presentable(url: &Url) -> String {
    if url.username().is_empty() && url.password().is_none() {
        return url.to_string();
    }
    let mut url = url.clone();
    // Both fail only for addresses without a host, which have no user either.
    let _ = url.set_password(None);
    let _ = url.set_username("redacted");
    url.to_string()
}

/// [`presentable`] for an address that is still text; what is no address stays as it is.
pub fn presentable_text(text: String) -> String {
    // Without an @ there is no user, and nothing to be parsed for.
    if !text.contains('@') {
        return text;
    }
    text.parse().map_or(text, |url| presentable(&url))
}

/// Where in its run a capture belongs: `before`, `during`, `after`, or a name of the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Stage(String);

impl Stage {
    /// The stage called `name`: 1 to 40 lower-case letters, digits and hyphens, beginning with a
    /// letter or digit (it becomes part of a folder's name).
    pub fn new(name: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let sound =
            (1..=40).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('-');
        sound.then(|| Self(name.to_owned()))
    }

    /// The stage of a capture for which none was named.
    pub fn during() -> Self {
        Self("during".to_owned())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn no_secret_reaches_the_record() {
        let url = "https://alice:hunter2@desk.example/refunds".parse().expect("an address");
        let page = PageSettings::of(Target::Url(url));
        let mut shot = CaptureSettings { page, product: Product::Picture(Picture::default()) };
        shot.page
            .headers
            .push(("Authorization".to_owned(), Secret::new("Bearer hunter2".to_owned())));
        let secret = || Secret::new("hunter2".to_owned());
        shot.page.cookies.push(Cookie::new("session".to_owned(), secret()));
        let origin = "https://desk.example".to_owned();
        let storage = OriginStorage { origin, items: vec![("token".to_owned(), secret())] };
        let cookies = vec![Cookie::new("sid".to_owned(), secret())];
        shot.page.auth_state = Some(AuthState { cookies, local_storage: vec![storage] });
        let record = shot.record().to_string();
        assert!(!record.contains("hunter2"), "{record}");
        assert!(!format!("{:?}", shot.page.headers).contains("hunter2"));
        assert!(record.contains("https://redacted@desk.example/refunds"), "{record}");
        assert_eq!(shot.altered_by(), ["headers", "cookies", "authState"]);
        shot.page.edits.inject_js = Some("sessionStorage.token = 'hunter2'".to_owned());
        assert!(!shot.record().to_string().contains("hunter2"));
    }

    #[test]
    fn stages_are_safe_in_a_path() {
        assert!(Stage::new("before").is_some());
        assert!(Stage::new("2-after-approval").is_some());
        for bad in ["", "../up", "Before", "a b", "-x", &"x".repeat(41)] {
            assert_eq!(Stage::new(bad), None, "{bad}");
        }
    }
}
