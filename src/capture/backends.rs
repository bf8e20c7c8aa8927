//! Owns the choice of who takes a picture: the local browser, unless request, caller or workflow
//! say the hosted service; and what happens when that is down. It decides before anything is sent.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};

use crate::backend::{
    Backend, BackendName, CaptureRequest, CaptureResult, Failed, FailedAttempt, Sent,
    SequenceRequest, StepReport,
};
use crate::config::{self, Config, Fallback};
use crate::error::{Code, Problem};
use crate::hosted::not_configured;
use crate::masks::Masks;
use crate::run::Caller;

/// Fields of ours, which a hosted service does not know; and those it is told by us.
const OWN: &[&str] = &["stage", "response_type", "session_id", "expandScrollers"];

/// Who can take pictures.
#[derive(Clone, Debug)]
pub struct Backends {
    local: Arc<dyn Backend>,
    hosted: Arc<dyn Backend>,
    config: watch::Receiver<Arc<Config>>,
}

/// Who was chosen, and what is passed on if that is the hosted service.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) by: BackendName,
    pub(super) sent: Option<Sent>,
}

impl Chosen {
    /// What a hosted service is sent, if it is to take the picture.
    pub(super) fn of(
        by: BackendName,
        endpoint: &'static str,
        body: impl FnOnce() -> Value,
    ) -> Self {
        let sent = || Sent { endpoint, body: Arc::new(body()) };
        Self { by, sent: (by == BackendName::Hosted).then(sent) }
    }
}

impl Backends {
    /// The local browser and the hosted service, which is off unless `config` names one.
    pub fn new(
        local: Arc<dyn Backend>,
        hosted: Arc<dyn Backend>,
        config: watch::Receiver<Arc<Config>>,
    ) -> Self {
        Self { local, hosted, config }
    }

    /// The local browser, whose pages are kept for sessions.
    pub(super) fn local(&self) -> &dyn Backend {
        self.local.as_ref()
    }

    /// What is on record about who takes the pictures.
    pub(super) fn provenance(&self, by: BackendName) -> Value {
        self.named(by).provenance()
    }

    fn named(&self, by: BackendName) -> &dyn Backend {
        match by {
            BackendName::Chromium => self.local.as_ref(),
            BackendName::Hosted => self.hosted.as_ref(),
        }
    }

    /// Who takes a picture: what the request asks for, else what goes for its caller, else what
    /// goes for its workflow, else the local browser. A service covers nothing: it is not asked when
    /// there is something to be covered.
    ///
    /// # Errors
    /// `backend_not_configured` when the hosted service is asked for and there is none;
    /// `not_supported` when it would have to cover something.
    pub(super) fn choose(
        &self,
        asked: Option<BackendName>,
        caller: &Caller,
        workflow: Option<&str>,
    ) -> Result<BackendName, Problem> {
        let settings: &config::Hosted = &self.config.borrow().backend.hosted;
        let configured = settings.base_url.is_some();
        let masking = !Masks::new(&self.config.borrow().privacy).are_for_passwords();
        match asked {
            Some(BackendName::Hosted) if !configured => Err(not_configured().into()),
            Some(BackendName::Hosted) if masking => Err(would_not_mask()),
            Some(asked) => Ok(asked),
            None => {
                let listed = |workflow| settings.workflows.iter().any(|listed| listed == workflow);
                let hosted = settings.is_for(caller) || workflow.is_some_and(listed);
                Ok(if configured && hosted && !masking {
                    BackendName::Hosted
                } else {
                    BackendName::Chromium
                })
            }
        }
    }

    /// Take one picture; where the hosted service is down, the local browser may take it.
    pub(super) async fn take(
        &self,
        by: BackendName,
        request: CaptureRequest,
    ) -> Result<CaptureResult, Box<Failed>> {
        if by == BackendName::Chromium {
            return self.local.take(request).await;
        }
        let failed = match self.hosted.take(request.clone()).await {
            Ok(taken) => return Ok(taken),
            Err(failed) => failed,
        };
        let first = self.given_up(failed)?;
        match self.local.take(request).await {
            Ok(mut taken) => {
                taken.failed_attempts.insert(0, first);
                Ok(taken)
            }
            Err(mut failed) => {
                failed.failed_attempts.insert(0, first);
                Err(failed)
            }
        }
    }

    /// Take the steps of a sequence, in the same way: who did so where that is a service, and the
    /// attempts before.
    pub(super) async fn sequence(
        &self,
        by: BackendName,
        request: SequenceRequest,
        reports: mpsc::Sender<StepReport>,
    ) -> Result<(Value, Vec<FailedAttempt>), Box<Failed>> {
        if by == BackendName::Chromium {
            return Ok((self.local.sequence(request, reports).await?, Vec::new()));
        }
        let failed = match self.hosted.sequence(request.clone(), reports.clone()).await {
            Ok(browser) => return Ok((browser, Vec::new())),
            Err(failed) => failed,
        };
        let first = self.given_up(failed)?;
        match self.local.sequence(request, reports).await {
            Ok(browser) => Ok((browser, vec![first])),
            Err(mut failed) => {
                failed.failed_attempts.insert(0, first);
                Err(failed)
            }
        }
    }

    /// The hosted service's failure as an attempt of which another one follows.
    ///
    /// # Errors
    /// The failure, when none is to follow.
    fn given_up(&self, failed: Box<Failed>) -> Result<FailedAttempt, Box<Failed>> {
        let fallback = self.config.borrow().backend.hosted.fallback;
        if !failed.down || fallback == Fallback::None {
            return Err(failed);
        }
        tracing::warn!(error = %failed.problem, "the local browser takes over from the hosted service");
        let Failed { problem, browser, .. } = *failed;
        Ok(FailedAttempt { code: problem.kind.as_str(), message: problem.message, browser })
    }
}

/// A caller's body in the hosted API's own words, without what only we understand and what is not
/// to be applied.
pub(super) fn passed_on(
    mut body: Value,
    aliases: &[(&'static str, &'static str)],
    ignored: &[impl AsRef<str>],
) -> Value {
    let Some(fields) = body.as_object_mut() else { return body };
    for name in OWN {
        fields.remove(*name);
    }
    for name in ignored {
        forget(fields, name.as_ref());
    }
    for (sent, meant) in aliases {
        let Some(value) = fields.remove(*sent) else { continue };
        match value {
            // The window as one object.
            Value::Object(inner) => fields.extend(inner),
            value => drop(fields.insert((*meant).to_owned(), value)),
        }
    }
    // Playwright's word, which is understood and has no place in the hosted API.
    if fields.get("waitUntil").is_some_and(|value| value == "networkidle") {
        fields.insert("waitUntil".to_owned(), json!("networkidle2"));
    }
    body
}

/// Take out a field that is not applied: `style`, or `steps[2].style`.
fn forget(fields: &mut Map<String, Value>, name: &str) {
    let inner = name.strip_prefix("steps[").and_then(|rest| rest.split_once("]."));
    match inner {
        None => drop(fields.remove(name)),
        Some((index, name)) => {
            let step = index.parse::<usize>().ok();
            let step = step.and_then(|index| fields.get_mut("steps")?.get_mut(index));
            if let Some(step) = step.and_then(Value::as_object_mut) {
                step.remove(name);
            }
        }
    }
}

/// The body of one side of a comparison, as a request for its picture.
pub(super) fn side(body: &Value, url: &str, html: &str) -> Value {
    let Some(mut fields) = body.as_object().cloned() else { return body.clone() };
    let target = [(url, "url"), (html, "html")].map(|(from, to)| (to, fields.remove(from)));
    for name in ["url_a", "url_b", "html_a", "html_b", "threshold"] {
        fields.remove(name);
    }
    for (name, value) in target {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    }
    fields.insert("format".to_owned(), json!("png"));
    Value::Object(fields)
}

fn would_not_mask() -> Problem {
    let message = "a hosted service covers nothing in its pictures, and `privacy` says that something \
                   is to be covered; leave out `X-Exhibit-Backend: hosted`";
    Problem::new(Code::NotSupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_is_in_the_hosted_apis_words() {
        let body = json!({
            "url": "http://a.example/", "full_page": true, "viewport": { "width": 800 },
            "stage": "before", "response_type": "json", "style": { "theme": "glass" },
            "waitUntil": "networkidle",
        });
        let aliases = [("full_page", "fullPage"), ("viewport", "width, height, deviceScaleFactor")];
        let sent = passed_on(body, &aliases, &["style"]);
        let expected = json!({
            "url": "http://a.example/", "fullPage": true, "width": 800, "waitUntil": "networkidle2",
        });
        assert_eq!(sent, expected);
        let body = json!({ "steps": [{ "action": "screenshot", "style": {} }], "session_id": "x" });
        let sent = passed_on(body, &[], &["steps[0].style", "steps[9].style", "steps[x].y"]);
        assert_eq!(sent, json!({ "steps": [{ "action": "screenshot" }] }));
    }

    #[test]
    fn each_side_of_a_comparison_is_a_request_of_its_own() {
        let body =
            json!({ "url_a": "http://a.example/", "html_b": "<p>", "threshold": 0, "width": 9 });
        let sides = [side(&body, "url_a", "html_a"), side(&body, "url_b", "html_b")];
        let expected = [
            json!({ "url": "http://a.example/", "width": 9, "format": "png" }),
            json!({ "html": "<p>", "width": 9, "format": "png" }),
        ];
        assert_eq!(sides, expected);
    }
}
