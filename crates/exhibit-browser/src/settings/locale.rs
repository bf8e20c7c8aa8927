//! Owns the language and region a page sees, as a language tag of BCP 47 (RFC 5646): language, script,
//! region and variants. Extensions are left out: no server is asked for them.

use std::fmt;

use serde::Serialize;

/// A language tag in its canonical case: `de-CH`, `zh-Hant-TW`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Locale(String);

impl Locale {
    /// The locale that `tag` names, in any case; none when it is no tag of the form
    /// `language[-Script][-REGION][-variant…]`.
    pub fn new(tag: &str) -> Option<Self> {
        let mut parts = tag.split('-').peekable();
        let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let word = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let language =
            parts.next().filter(|part| (2..=3).contains(&part.len()) && letters(part))?;
        let mut canonical = language.to_ascii_lowercase();
        let mut add = |part: String| {
            canonical.push('-');
            canonical.push_str(&part);
        };
        if let Some(script) = parts.next_if(|part| part.len() == 4 && letters(part)) {
            let (first, rest) = script.split_at(1);
            add(first.to_ascii_uppercase() + &rest.to_ascii_lowercase());
        }
        let digits = |part: &str| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(region) =
            parts.next_if(|part| (part.len() == 2 && letters(part)) || digits(part))
        {
            add(region.to_ascii_uppercase());
        }
        for variant in parts {
            let numbered = variant.len() == 4 && variant.as_bytes()[0].is_ascii_digit();
            if !word(variant) || !((5..=8).contains(&variant.len()) || numbered) {
                return None;
            }
            add(variant.to_ascii_lowercase());
        }
        Some(Self(canonical))
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The languages a browser set to it asks for, the most wanted first: `de-CH,de`. It adds the
    /// weights itself.
    pub fn languages(&self) -> String {
        match self.0.split_once('-') {
            Some((language, _)) => format!("{},{language}", self.0),
            None => self.0.clone(),
        }
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_put_into_canonical_case() {
        let cases = [
            ("de", "de", "de"),
            ("DE-ch", "de-CH", "de-CH,de"),
            ("zh-hant-tw", "zh-Hant-TW", "zh-Hant-TW,zh"),
            ("es-419", "es-419", "es-419,es"),
            ("de-CH-1996", "de-CH-1996", "de-CH-1996,de"),
            ("gsw", "gsw", "gsw"),
        ];
        for (given, tag, languages) in cases {
            let locale = Locale::new(given).expect(given);
            assert_eq!((locale.as_str(), locale.languages().as_str()), (tag, languages));
        }
    }

    #[test]
    fn what_is_no_tag_is_none() {
        let wrong = [
            "",
            "d",
            "german",
            "de_CH",
            "de-",
            "-de",
            "de-C",
            "de--CH",
            "de-CH-u-nu-latn",
            "de,en",
            "de-CH\r\nX: y",
            "dé",
            "x-klingon",
            "12",
        ];
        for wrong in wrong {
            assert_eq!(Locale::new(wrong), None, "{wrong}");
        }
    }
}
