//! Owns what the request of a sequence says of it: which steps its backend takes, where they lead and what
//! they change of a page.

use crate::backend::{BackendName, only_local_records};
use crate::error::{Code, Problem};
use crate::request::SequenceRequest;
use crate::settings::sequence::{Action, Step};
use crate::settings::{Target, is_another_document};

/// The hosted service hands out a comparison's result, and not the two pictures it is made from.
pub(super) fn check_steps(by: BackendName, request: &SequenceRequest) -> Result<(), Problem> {
    if by == BackendName::Chromium {
        return Ok(());
    }
    if request.record {
        return Err(only_local_records().field("record").into());
    }
    let compares = |step: &Step| matches!(step.action, Action::Compare { .. });
    let Some(index) = request.steps.iter().position(compares) else { return Ok(()) };
    let message = format!(
        "`steps[{index}]` is a `diff`, of which the hosted backend keeps no pictures; use POST \
         /diff, or `X-Exhibit-Backend: chromium`"
    );
    Err(Problem::new(Code::NotSupported, message).field(format!("steps[{index}].action")))
}

/// Where the steps before `before` led a page, by what was asked.
pub(super) fn led_to(request: &SequenceRequest, before: usize) -> Target {
    let led = request.steps.iter().take(before).rev().find_map(|step| match &step.action {
        Action::Navigate(url) => Some(Target::Url(url.clone())),
        _ => None,
    });
    led.unwrap_or(Target::Current)
}

/// A script that was run in a document changed it, as far as anybody knows, until a step led to another
/// document for sure.
pub(super) fn carried(
    request: &SequenceRequest,
    before: usize,
    succeeded: impl Fn(usize) -> bool,
) -> Vec<&'static str> {
    let done = request.steps.iter().enumerate().take(before).rev();
    let mut here = done.take_while(|(index, step)| match &step.action {
        Action::Navigate(url) => !(succeeded(*index) && is_another_document(url)),
        _ => true,
    });
    let scripted = here.any(|(_, step)| matches!(step.action, Action::Evaluate(_)));
    scripted.then_some("evaluate").into_iter().collect()
}
