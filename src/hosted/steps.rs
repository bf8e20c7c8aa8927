//! Owns the way from the hosted service's answer about a sequence to reports of its steps.

use serde_json::{Value, json};

use super::answer::base64;
use super::content::{Unfit, check};
use crate::backend::{BackendName, Output, SequenceRequest, Snapshots, StepReport, media};
use crate::backend::{CaptureError, ErrorKind};
use crate::error::Code;
use crate::secret::REDACTED;
use crate::settings::sequence::{Action, Step};
use crate::shown::shown_within;

/// The steps that the service tells of, in their order, as far as it got.
pub(super) fn reports(request: &SequenceRequest, told: &Value, browser: &Value) -> Vec<StepReport> {
    let results = told["step_results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let steps = request.steps.iter().enumerate();
    let told_of = steps.map_while(|(index, step)| {
        let result = results.iter().find(|result| result["step_index"] == json!(index));
        // Without an index the place in the list is it.
        let result = result.or_else(|| results.get(index).filter(|r| r["step_index"].is_null()))?;
        Some(report(request, index, step, result, told, browser))
    });
    told_of.collect()
}

fn report(
    request: &SequenceRequest,
    index: usize,
    step: &Step,
    result: &Value,
    told: &Value,
    browser: &Value,
) -> StepReport {
    let mut record = step.record();
    if matches!(step.action, Action::Fill { .. }) {
        // Whether the field is for secrets only the page tells, and nobody here saw it.
        record["value"] = json!(REDACTED);
    }
    record["backend"] = json!(BackendName::Hosted);
    let mut outputs = Vec::new();
    let problem = if result["status"] == "ok" {
        output(request, index, step, told, browser).map(|made| outputs.extend(made)).err()
    } else {
        Some(failed(result))
    };
    let state = request.observe.then(|| match &result["state"] {
        Value::Null => Err(CaptureError::new(
            ErrorKind::BackendFailed,
            "the hosted service does not tell; use the local browser",
        )),
        state => Ok(state.clone()),
    });
    StepReport {
        index,
        record,
        problem,
        outputs,
        state,
        downloads: Vec::new(),
        network: Value::Null,
        duration_ms: None,
    }
}

/// What a step made, if it was to make something.
fn output(
    request: &SequenceRequest,
    index: usize,
    step: &Step,
    told: &Value,
    browser: &Value,
) -> Result<Option<Output>, CaptureError> {
    let Action::Output { name, product, .. } = &step.action else { return Ok(None) };
    let outputs = told["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = outputs.iter().find(|output| output["step_index"] == json!(index));
    let bytes = found
        .ok_or_else(|| "answered without this step's output".to_owned())
        .and_then(|output| base64(&output["data"]))
        .map_err(Unfit::from)
        .and_then(|bytes| {
            check(product, request.page.viewport, request.max_pixels, &bytes).map(|()| bytes)
        })
        .map_err(|Unfit { kind, what }| {
            let message =
                format!("the hosted service {what}; ask again later, or use the local browser");
            CaptureError::new(kind, message)
        })?;
    Ok(Some(Output {
        by: BackendName::Hosted,
        browser: Some(browser.clone()),
        name: name.clone(),
        product: product.clone(),
        pixels: media::png_size(&bytes),
        bytes: bytes.into(),
        companions: Vec::new(),
        page: request.page.clone(),
        snapshots: Snapshots::default(),
        facts: None,
        console: Vec::new(),
        network: Value::Null,
    }))
}

/// Why a step failed, by the service's word.
fn failed(result: &Value) -> CaptureError {
    let said = result["error"].as_str().unwrap_or("no reason given");
    let said = shown_within(said, 300);
    let code = result["code"].as_str().and_then(Code::from_name).map(Code::as_str);
    let kind = code.map_or(ErrorKind::BackendFailed, ErrorKind::Reported);
    let message =
        format!("the hosted service says “{said}”; correct the step, or what it is about");
    CaptureError::new(kind, message)
}
