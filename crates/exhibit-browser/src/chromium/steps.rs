//! Owns the taking of a sequence's steps in one page, one after the other, as a person would take
//! them. Each is reported as soon as it is done; the first that fails ends the sequence, unless it
//! is optional.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::bound::Bound;
use super::emulate::{end_storing, prepare};
use super::error::PageError;
use super::instance::Instance;
use super::load::{navigate, rest, settle, wait_for_selector};
use super::mask;
use super::page::Page;
use super::pipe::CallError;
use super::product::{make, title};
use super::product_request::ProductRequest;
use super::recording::Recording;

use super::{act, edit, look, outline, view};
use crate::backend::{BackendName, Download, Output, PageFacts, SequenceRequest, StepReport};
use crate::error::{CaptureError, ErrorKind};
use crate::secret::REDACTED;
use crate::settings::sequence::{Action, Step};
use crate::settings::{PageSettings, Product, Target};

/// Limit for one step: the hosted API's.
const STEP: Duration = Duration::from_secs(15);

/// Make `page` ready for the steps of `request`.
///
/// # Errors
/// When that cannot be done.
pub(super) async fn ready(page: &Page, request: &SequenceRequest) -> Result<(), PageError> {
    let used = request.page.session.is_some();
    {
        let mut seen = page.observed();
        if used {
            seen.begin_again();
        }
        seen.set_policy(request.policy.clone());
    }
    page.listen_again().await?;
    prepare(page, &request.page, used).await
}

/// Take the steps of `request` on `page`, telling of each. Other pages that are needed come from
/// `instance`; `recorder` records the page meanwhile.
///
/// # Errors
/// None of the steps': one that fails is a report.
pub(super) async fn run(
    page: &Page,
    instance: &Instance,
    request: &SequenceRequest,
    reports: &mpsc::Sender<StepReport>,
    recorder: Option<&Recording>,
) -> Result<(), PageError> {
    let walk = Walk { page, instance, request };
    for (index, step) in request.steps.iter().enumerate() {
        if let Some(recorder) = recorder {
            recorder.mark();
        }
        let mut report = Box::pin(walk.take(index, step)).await;
        if recorder.is_some() {
            // What cannot be covered must not be recorded.
            match mask::cover(page).await {
                Ok(covered) => report.record["masked"] = json!(covered.masked),
                Err(_) if report.problem.is_some() => {}
                Err(error) => report.problem = Some(error.into()),
            }
        }
        let goes_on = report.problem.is_none() || step.optional;
        // Whoever listened has gone when the daemon is stopping: there is nobody to go on for.
        if reports.send(report).await.is_err() || !goes_on || !page.is_alive() {
            break;
        }
    }
    Ok(())
}

/// A sequence under way.
struct Walk<'a> {
    page: &'a Page,
    instance: &'a Instance,
    request: &'a SequenceRequest,
}

impl Walk<'_> {
    async fn take(&self, index: usize, step: &Step) -> StepReport {
        let begun = Instant::now();
        let (until, bound) = match Bound::sooner(begun, STEP, self.request.deadline) {
            (until, Bound::Navigation(limit)) => (until, Bound::Step(limit)),
            other => other,
        };
        self.page.observed().bound = bound;
        let mut record = step.record();
        self.page.observed().downloads.expect();
        record["before"] = self.place().await;
        let acting = Box::pin(self.act(step, until, &mut record));
        // Printing may take as long as a capture may.
        let limit = match step.action {
            Action::Output { .. } => self.request.deadline,
            _ => self.request.deadline.min(begun + STEP * 3),
        };
        let acted = match tokio::time::timeout_at(limit, acting).await {
            Ok(acted) => acted.and_then(|outputs| self.allowed().map(|()| outputs)),
            Err(_) => Err(too_slow().into()),
        };
        if acted.is_err() {
            view::recover(self.page, self.request.page.viewport).await;
        }
        if acted.is_ok() && !step.pause_after.is_zero() {
            tokio::time::sleep(step.pause_after).await;
        }
        record["after"] = self.place().await;
        let (outputs, problem) = match acted {
            Ok(outputs) => (outputs, None),
            Err(error) => (Vec::new(), Some(self.cleaned(error).await)),
        };
        let state = if self.request.observe { Some(self.state().await) } else { None };
        let action = record["action"].clone();
        let cleaned = self.page.typed().clean_value(record, &["action"], self.page.tasks()).await;
        let (record, problem) = match cleaned {
            Ok(record) => (record, problem),
            Err(broken) => (json!({ "action": action }), Some(broken)),
        };
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).ok();
        let (downloads, network, problem) = match self.downloads().await {
            Ok((downloads, network)) => (downloads, network, problem),
            Err(broken) => (Vec::new(), Value::Null, Some(broken)),
        };
        StepReport { index, record, problem, outputs, state, downloads, network, duration_ms }
    }

    /// What was refused as a download since the step before, with the traffic so far if anything was.
    async fn downloads(&self) -> Result<(Vec<Download>, Value), CaptureError> {
        let (downloads, network) = {
            let mut seen = self.page.observed();
            let downloads = seen.downloads.take();
            let told = !downloads.is_empty() && seen.may_be_shown().is_ok();
            let network = told.then(|| seen.network.archive(&self.request.product));
            (downloads, network.unwrap_or_default())
        };
        let facts = PageFacts { downloads, ..PageFacts::default() };
        let seen = (facts, Vec::new(), network);
        let (facts, _, network) = self.page.typed().clean_seen(seen, self.page.tasks()).await?;
        Ok((facts.downloads, network))
    }

    /// Where the page is, by the browser's word; its title only where policy lets the page be seen.
    async fn place(&self) -> Value {
        let title = title(self.page).await.ok().flatten();
        let title = title.filter(|_| self.allowed().is_ok());
        json!({ "url": self.page.observed().facts.final_url, "title": title })
    }

    async fn state(&self) -> Result<Value, CaptureError> {
        self.allowed().map_err(CaptureError::from)?;
        let looking = async {
            let hidden = look::secrets(self.page).await?;
            let state = outline::state(self.page).await?;
            Ok(hidden.clean(state, self.page.tasks()).await?)
        };
        match looking.await {
            Ok(state) => Ok(state),
            Err(error) => Err(self.cleaned(error).await),
        }
    }

    /// A problem without the page's secrets.
    async fn cleaned(&self, error: PageError) -> CaptureError {
        self.page.typed().cleaned_problem(error.into(), self.page.tasks()).await
    }

    /// Policy holds for where a step led, too.
    fn allowed(&self) -> Result<(), PageError> {
        Ok(self.page.observed().may_be_shown()?)
    }

    async fn act(
        &self,
        step: &Step,
        until: Instant,
        record: &mut Value,
    ) -> Result<Vec<Output>, PageError> {
        let (page, settings) = (self.page, &self.request.page);
        match &step.action {
            Action::Navigate(url) => {
                self.request.policy.check_url(url)?;
                let target = Target::Url(url.clone());
                let there = PageSettings { target, ..settings.clone() };
                navigate(page, &there, until).await?;
                settle(page, &there, until).await?;
                end_storing(page).await?;
                edit::hide_unwanted(page, settings).await?;
            }
            Action::Click { selector, count } => {
                edit::click(page, selector, *count, "selector").await?;
                self.wait_for_idle(until).await?;
            }
            Action::Hover(selector) => {
                let at = edit::middle(page, selector, "selector").await?;
                edit::mouse(page, "mouseMoved", at, 0).await?;
            }
            Action::Fill { selector, value } => {
                let secret = act::fill(page, selector, value.expose()).await?;
                record["value"] = json!(if secret { REDACTED } else { value.expose() });
            }
            Action::Select { selector, value } => {
                act::select(page, selector, value).await?;
                self.wait_for_idle(until).await?;
            }
            Action::Scroll { selector, x, y } => {
                act::scroll(page, selector.as_deref(), *x, *y).await?;
            }
            Action::Wait(pause) => tokio::time::sleep(*pause).await,
            Action::WaitFor { selector, timeout } => {
                wait_for_selector(page, selector, "selector", Instant::now() + *timeout).await?;
            }
            Action::Evaluate(script) => {
                edit::run_script(page, script, "script").await?;
                self.wait_for_idle(until).await?;
            }
            Action::PressKey { key, selector } => {
                act::press(page, *key, selector.as_deref()).await?;
                self.wait_for_idle(until).await?;
            }
            Action::Output { name, product, delay } => {
                let settings = PageSettings { delay: *delay, ..settings.clone() };
                rest(page, &settings).await?;
                return Ok(vec![self.output(page, &settings, name, product).await?]);
            }
            Action::Compare { name, picture, other, delay, .. } => {
                let settings = PageSettings { delay: *delay, ..settings.clone() };
                rest(page, &settings).await?;
                let product = Product::Picture(picture.clone());
                let first = self.output(page, &settings, name, &product).await?;
                let settings = PageSettings { target: other.clone(), ..settings };
                return Ok(vec![
                    first,
                    Box::pin(self.elsewhere(&settings, name, &product, until)).await?,
                ]);
            }
        }
        Ok(Vec::new())
    }

    /// The same of another page, loaded for this alone.
    async fn elsewhere(
        &self,
        settings: &PageSettings,
        name: &str,
        product: &Product,
        until: Instant,
    ) -> Result<Output, PageError> {
        if let Target::Url(url) = &settings.target {
            self.request.policy.check_url(url)?;
        }
        let settings = PageSettings { session: None, ..settings.clone() };
        let mut page = self.instance.page().await.ok_or(CallError::Closed)?;
        page.share_typed(self.page);
        page.observed().set_policy(self.request.policy.clone());
        let loading = async {
            prepare(&page, &settings, false).await?;
            navigate(&page, &settings, until).await?;
            settle(&page, &settings, until).await?;
            rest(&page, &settings).await?;
            let output = self.output(&page, &settings, name, product).await?;
            page.observed().may_be_shown()?;
            Ok(output)
        };
        let output = loading.await;
        page.close().await;
        output
    }

    /// Wait until what an action set in motion is done: the page loads nothing more.
    async fn wait_for_idle(&self, until: Instant) -> Result<(), PageError> {
        self.page.observed().expect_quiet(Instant::now());
        settle(self.page, &self.request.page, until).await?;
        end_storing(self.page).await?;
        edit::hide_unwanted(self.page, &self.request.page).await
    }

    async fn output(
        &self,
        page: &Page,
        settings: &PageSettings,
        name: &str,
        product: &Product,
    ) -> Result<Output, PageError> {
        let request = ProductRequest {
            settings,
            product,
            snapshot: self.request.snapshot,
            max_pixels: self.request.max_pixels,
            until: self.request.deadline.min(Instant::now() + STEP * 2),
            spool: &self.request.spool,
            deadline: self.request.deadline,
        };
        let made = make(page, &request).await?;
        let seen = {
            let mut seen = page.observed();
            seen.facts.title = made.title;
            let network = seen.network.archive(&self.request.product);
            (seen.facts.clone(), seen.console.clone(), network)
        };
        let (facts, console, network) = page.typed().clean_seen(seen, page.tasks()).await?;
        Ok(Output {
            by: BackendName::Chromium,
            browser: None,
            name: name.to_owned(),
            product: product.clone(),
            bytes: made.bytes,
            pixels: made.pixels,
            companions: made.companions,
            page: settings.clone(),
            snapshots: made.snapshots,
            facts: Some(facts),
            console,
            network,
        })
    }
}

fn too_slow() -> CaptureError {
    let message = "the step did not end in time; check the page, or wait for less";
    CaptureError::new(ErrorKind::RequestTimeout, message)
}
