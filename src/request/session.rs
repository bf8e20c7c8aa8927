//! Owns the reading of a request for a session: `POST /sessions`.

use serde_json::Value;

use super::fields::Fields;
use super::{identity, page};
use crate::error::Problem;
use crate::settings::{PageSettings, Target};

/// A session asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRequest {
    /// Window, cookies and blocking of its page.
    pub page: PageSettings,
    /// Fields that were accepted and not applied.
    pub ignored: Vec<&'static str>,
}

impl SessionRequest {
    /// Read the body of `POST /sessions`.
    ///
    /// # Errors
    /// Every problem found, as one: the first with its field, the others in the hint.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let mut page = PageSettings::of(Target::Current);
        page::window(&mut fields, &mut page);
        page.cookies = identity::cookies(&mut fields, Some(&page.target));
        page.auth_state = identity::auth_state(&mut fields);
        // To hide from a site that a browser is driven is not what an auditor's recorder does.
        let stealth = fields.flag("stealth").unwrap_or(false);
        let ignored = stealth.then_some("stealth").into_iter().collect();
        fields.refuse_leftovers();
        fields.finish(Some(Self { page, ignored }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_applied_is_listed() {
        let body = json!({ "stealth": true, "viewport": { "width": 320, "height": 200 } });
        let request = SessionRequest::read(body).expect("sound");
        assert_eq!((request.page.viewport.width, request.ignored), (320, vec!["stealth"]));
        let problem =
            SessionRequest::read(json!({ "viewport": { "width": 319 } })).expect_err("small");
        assert_eq!(problem.field.as_deref(), Some("viewport.width"));
        let problem = SessionRequest::read(json!({ "cookies": ["a=b"] })).expect_err("no domain");
        assert_eq!(problem.field.as_deref(), Some("cookies[0].domain"));
    }
}
