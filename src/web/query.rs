//! Owns the reading of what is asked of the list, from the fields of its form: empty ones count for
//! nothing, wrong ones are told by name.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{Code, Problem};
use crate::evidence::Filter;
use crate::run::State;
use crate::workflow::Verdict;

/// Most words of a search.
const MAX_WORDS: usize = 16;

/// The fields of the form, as they came.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct SearchForm {
    /// Words to look for.
    pub(super) q: String,
    pub(super) workflow: String,
    pub(super) state: String,
    pub(super) verdict: String,
    pub(super) outcome: String,
    pub(super) agent: String,
    pub(super) principal: String,
    /// Opened at or after.
    pub(super) from: String,
    /// Opened before.
    pub(super) to: String,
    /// The last run of the page before.
    pub(super) before: String,
}

/// What is to be listed.
#[derive(Debug)]
pub(super) struct RunQuery {
    pub(super) filter: Filter,
    /// Whether open runs are.
    pub(super) open: bool,
    /// Whether sealed runs are.
    pub(super) sealed: bool,
}

impl SearchForm {
    /// Whether anything is asked for but a page.
    pub(super) fn narrows(&self) -> bool {
        self.pairs().iter().any(|(name, value)| *name != "before" && !value.is_empty())
    }

    fn pairs(&self) -> [(&'static str, &str); 10] {
        [
            ("q", &self.q),
            ("workflow", &self.workflow),
            ("state", &self.state),
            ("verdict", &self.verdict),
            ("outcome", &self.outcome),
            ("agent", &self.agent),
            ("principal", &self.principal),
            ("from", &self.from),
            ("to", &self.to),
            ("before", &self.before),
        ]
    }

    /// The address of the same list from the run after `before` on; of its beginning when empty.
    pub(super) fn address(&self, before: &str) -> String {
        let asked = Self { before: before.to_owned(), ..self.clone() };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(asked.pairs().iter().filter(|(_, value)| !value.is_empty()));
        let query = query.finish();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }

    /// What is wanted.
    ///
    /// # Errors
    /// `invalid_field`, naming the field.
    pub(super) fn read(&self) -> Result<RunQuery, Problem> {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let altered = self.state == "altered";
        let (open, sealed, state) = match self.state.as_str() {
            "" => (self.before.is_empty(), true, None),
            "open" => (true, false, None),
            "any-sealed" | "altered" => (false, true, None),
            name => (false, true, Some(word::<State>(name, "state")?)),
        };
        let verdict = match self.verdict.as_str() {
            "" => None,
            name => Some(word::<Verdict>(name, "verdict")?),
        };
        let words = self.q.to_lowercase();
        let words = words.split_whitespace().take(MAX_WORDS).map(str::to_owned).collect();
        let before = text(&self.before).map(|id| id.parse()).transpose();
        let before = before.map_err(|_| unreadable("before", "a run id"))?;
        let filter = Filter {
            workflow: text(&self.workflow),
            verdict,
            state,
            outcome: text(&self.outcome),
            agent: text(&self.agent),
            principal: text(&self.principal),
            words,
            since: time(&self.from, "from")?,
            until: time(&self.to, "to")?,
            before,
            altered,
            ..Filter::default()
        };
        Ok(RunQuery { filter, open, sealed })
    }
}

fn word<T: serde::de::DeserializeOwned>(name: &str, field: &str) -> Result<T, Problem> {
    serde_json::from_value(json!(name)).map_err(|_| unreadable(field, "one of the words offered"))
}

fn unreadable(field: &str, wanted: &str) -> Problem {
    let message = format!("`{field}` cannot be read; give {wanted}, or nothing");
    Problem::new(Code::InvalidField, message).field(field)
}

/// A time as forms give it (`2026-11-24T08:15`), a day, or a whole RFC 3339 time; UTC.
fn time(text: &str, field: &str) -> Result<Option<Timestamp>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Some(at));
    }
    let civil = text.parse::<DateTime>().and_then(|civil| civil.to_zoned(TimeZone::UTC));
    let at = civil.map_err(|_| unreadable(field, "a time such as 2026-11-24T08:15, in UTC"))?;
    Ok(Some(at.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(field: &str, value: &str) -> SearchForm {
        serde_json::from_value(json!({ field: value })).expect("fields")
    }

    #[test]
    fn each_field_is_read_or_told_by_name() {
        let wanted = |field: &str, value: &str| asked(field, value).read().expect("readable");
        assert_eq!(wanted("q", "  Refund\tTX-1 ").filter.words, ["refund", "tx-1"]);
        assert_eq!(wanted("agent", " a b ").filter.agent.as_deref(), Some("a b"));
        assert_eq!(wanted("agent", "  ").filter.agent, None);
        assert_eq!(wanted("state", "expired").filter.state, Some(State::Expired));
        let seen = wanted("state", "open");
        assert!(seen.open && !seen.sealed);
        let seen = wanted("state", "any-sealed");
        assert!(!seen.open && seen.sealed);
        for (text, time) in [
            ("2026-11-24T08:15", "2026-11-24T08:15:00Z"),
            ("2026-11-24", "2026-11-24T00:00:00Z"),
            ("2026-11-24T08:15:00+01:00", "2026-11-24T07:15:00Z"),
        ] {
            let since = wanted("from", text).filter.since.expect("a time");
            assert_eq!(since.to_string(), time, "{text}");
        }
        for (field, value) in [
            ("state", "closed"),
            ("verdict", "good"),
            ("from", "yesterday"),
            ("to", "<b>"),
            ("before", "x"),
        ] {
            let problem = asked(field, value).read().expect_err(field);
            assert_eq!(problem.field.as_deref(), Some(field));
            assert!(!problem.message.contains(value), "{}", problem.message);
        }
    }

    #[test]
    fn an_address_holds_what_was_asked_for_and_nothing_else() {
        let asked =
            SearchForm { q: "a&b=c".to_owned(), before: "x".to_owned(), ..SearchForm::default() };
        assert_eq!(asked.address(""), "/?q=a%26b%3Dc");
        assert_eq!(asked.address("y"), "/?q=a%26b%3Dc&before=y");
        assert_eq!(SearchForm::default().address(""), "/");
        assert!(
            asked.narrows()
                && !SearchForm { before: "x".to_owned(), ..SearchForm::default() }.narrows()
        );
    }
}
