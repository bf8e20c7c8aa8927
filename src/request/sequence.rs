//! Owns the reading of a sequence request: the hosted API's steps, names and limits.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::fields::{Fields, shortened};
use super::{comparison, identity, page, pdf, screenshot};
use crate::error::{Code, Problem};
use crate::secret::Secret;
use crate::settings::sequence::{Action, KEYS, Key, Step};
use crate::settings::{Format, PageSettings, Picture, Product, Stage, Target};

/// Longest script: the hosted API's limit.
const SCRIPT: usize = 5_000;
/// What each step does.
const ACTIONS: &[&str] = &[
    "navigate",
    "click",
    "dblclick",
    "hover",
    "fill",
    "select",
    "scroll",
    "wait",
    "wait_for",
    "evaluate",
    "press_key",
];
/// What a step may make, in a sequence.
const OUTPUTS: &[&str] = &["screenshot", "pdf", "diff"];

/// What goes for the steps of a sequence, or of a recording: the hosted API's limits.
pub(super) struct Rules {
    /// Most steps.
    steps: usize,
    /// Most scripts.
    scripts: usize,
    /// Whether steps make outputs, 1 to 5 of them.
    outputs: bool,
    /// Whether steps are told of in captions, and decorated.
    recorded: bool,
}

const SEQUENCE: Rules = Rules { steps: 100, scripts: 2, outputs: true, recorded: false };
/// The rules of a recording.
pub(super) const VIDEO: Rules = Rules { steps: 50, scripts: 50, outputs: false, recorded: true };

/// A sequence that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceRequest {
    /// Window, cookies and colours of the page; its target is the first page navigated to.
    pub page: PageSettings,
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether the state of the page is told after each step.
    pub observe: bool,
    /// Whether the page is recorded meanwhile, where that is not what is asked for anyway.
    pub record: bool,
    /// Stage named in the body.
    pub stage: Option<Stage>,
    /// Fields that were accepted and not applied.
    pub ignored: Vec<String>,
}

impl SequenceRequest {
    /// Read the body of `POST /sequence`.
    ///
    /// # Errors
    /// Every problem found, as one: the first with its field, the others in the hint.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let request = read(&mut fields);
        fields.refuse_leftovers();
        fields.finish(request)
    }
}

fn read(fields: &mut Fields) -> Option<SequenceRequest> {
    rest(fields, &SEQUENCE, false)
}

/// Read the steps and what goes for all of them.
pub(super) fn rest(
    fields: &mut Fields,
    rules: &Rules,
    block_banners: bool,
) -> Option<SequenceRequest> {
    let mut ignored = Vec::new();
    let steps = steps(fields, rules, &mut ignored);
    let first = steps.iter().flatten().find_map(|step| match &step.action {
        Action::Navigate(url) => Some(Target::Url(url.clone())),
        _ => None,
    });
    let mut page = PageSettings::of(first.unwrap_or(Target::Current));
    page.session = page::session(fields);
    page::window(fields, &mut page);
    page.dark_mode = fields.flag("darkMode").unwrap_or(false);
    page.cookies = identity::cookies(fields, Some(&page.target));
    page.auth_state = identity::auth_state(fields);
    let banners = fields.has("blockBanners");
    page.blocking = page::lists(fields);
    page.blocking.banners |= block_banners && !banners;
    let observe = fields.flag("observeAfterEachStep").unwrap_or(false);
    let record = !rules.recorded && fields.flag("record").unwrap_or(false);
    let stage = page::stage(fields);
    steps.map(|steps| SequenceRequest { page, steps, observe, record, stage, ignored })
}

fn steps(fields: &mut Fields, rules: &Rules, ignored: &mut Vec<String>) -> Option<Vec<Step>> {
    if !fields.has("steps") {
        let message =
            "`steps` is missing; give a list like [{\"action\": \"navigate\", \"url\": …}]";
        return fields.problem(Problem::new(Code::MissingField, message).field("steps"));
    }
    let given = fields.list("steps", rules.steps)?;
    let count = given.len();
    let mut steps = Vec::new();
    for (index, value) in given.into_iter().enumerate() {
        match value {
            Value::Object(step) => steps.extend(self::step(fields, index, step, rules, ignored)),
            _ => {
                return fields.wrong(
                    &format!("steps[{index}]"),
                    "not an object",
                    "give {\"action\": …}",
                );
            }
        }
    }
    if steps.len() < count {
        return None;
    }
    let of = |wanted: fn(&Action) -> bool| steps.iter().filter(|s| wanted(&s.action)).count();
    let outputs = of(|a| matches!(a, Action::Output { .. } | Action::Compare { .. }));
    let scripts = of(|action| matches!(action, Action::Evaluate(_)));
    if rules.outputs && !(1..=5).contains(&outputs) {
        let remedy = "give 1 to 5 steps `screenshot`, `pdf` or `diff`";
        return fields.wrong("steps", &format!("a list with {outputs} outputs"), remedy);
    }
    if steps.is_empty() {
        return fields.wrong("steps", "an empty list", "give at least one step");
    }
    if scripts > rules.scripts {
        let remedy = format!("give at most {} steps `evaluate`", rules.scripts);
        return fields.wrong("steps", &format!("a list with {scripts} scripts"), &remedy);
    }
    Some(steps)
}

fn step(
    fields: &mut Fields,
    index: usize,
    step: Map<String, Value>,
    rules: &Rules,
    ignored: &mut Vec<String>,
) -> Option<Step> {
    fields.nested(step, format!("steps[{index}]."), |step| {
        let own = if rules.outputs { OUTPUTS } else { &["highlight"] };
        let words: Vec<&'static str> = ACTIONS.iter().chain(own).copied().collect();
        if !step.has("action") {
            let message =
                format!("`steps[{index}].action` is missing; give one of {}", words.join(", "));
            let field = format!("steps[{index}].action");
            step.rest();
            return step.problem(Problem::new(Code::MissingField, message).field(field));
        }
        let words: Vec<(&str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
        let Some(word) = step.choice("action", &words) else {
            // What belongs to an action nobody knows cannot be judged.
            step.rest();
            return None;
        };
        let optional = step.flag("optional").unwrap_or(false);
        let pause_after = step.int("pauseAfter", 0..=10_000).unwrap_or(0);
        let note = if rules.recorded { note(step, index, ignored) } else { None };
        let style = screenshot::decoration(step);
        ignored.extend(style.iter().map(|name| format!("steps[{index}].{name}")));
        let action = action(step, word, index)?;
        let pause_after = Duration::from_millis(u64::from(pause_after));
        Some(Step { action, word, optional, pause_after, note })
    })
}

/// What is said of a step of a recording; what would be drawn into it is listed as ignored.
fn note(step: &mut Fields, index: usize, ignored: &mut Vec<String>) -> Option<String> {
    for name in ["live", "zoom", "style", "color", "thickness", "padding"] {
        if step.value(name).is_some() {
            ignored.push(format!("steps[{index}].{name}"));
        }
    }
    let said = [("note", 200), ("narration", 500), ("label", 80)];
    let said = said.map(|(name, limit)| step.filled_text(name, limit));
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(" – "))
}

fn action(step: &mut Fields, word: &str, index: usize) -> Option<Action> {
    let millis = |value: Option<u32>, default: u32| {
        Duration::from_millis(u64::from(value.unwrap_or(default)))
    };
    match word {
        "navigate" => navigate(step),
        "click" => Some(Action::Click { selector: needed(step, "selector")?, count: 1 }),
        "dblclick" => Some(Action::Click { selector: needed(step, "selector")?, count: 2 }),
        "hover" => Some(Action::Hover(needed(step, "selector")?)),
        "fill" => {
            let selector = needed(step, "selector");
            if !step.has("value") {
                return missing(step, "value");
            }
            let value = Secret::new(step.text("value", 100_000)?);
            Some(Action::Fill { selector: selector?, value })
        }
        "select" => Some(Action::Select {
            selector: needed(step, "selector")?,
            value: needed(step, "value")?,
        }),
        "scroll" => {
            // Callers of the hosted API also say that x and y are relative, which they are.
            step.flag("relative");
            Some(Action::Scroll {
                selector: step.filled_text("selector", 2_000),
                x: step.number("x", -1e6..=1e6).unwrap_or(0.0),
                y: step.number("y", -1e6..=1e6).unwrap_or(0.0),
            })
        }
        // What is pointed at is said in the caption: nothing is drawn into a recording.
        "highlight" => {
            needed(step, "selector")?;
            Some(Action::Wait(millis(step.int("duration", 200..=15_000), 3_500)))
        }
        "wait" => Some(Action::Wait(millis(step.int("ms", 0..=10_000), 0))),
        "wait_for" => Some(Action::WaitFor {
            timeout: millis(step.int("timeout", 0..=15_000), 10_000),
            selector: needed(step, "selector")?,
        }),
        "evaluate" => step.filled_text("script", SCRIPT).map(Action::Evaluate).or_else(|| {
            step.has("script").then_some(()).map_or_else(|| missing(step, "script"), |()| None)
        }),
        "press_key" => {
            let keys: Vec<(&str, Key)> = KEYS.iter().map(|key| (key.name, *key)).collect();
            let selector = step.filled_text("selector", 2_000);
            if !step.has("key") {
                return missing(step, "key");
            }
            Some(Action::PressKey { key: step.choice("key", &keys)?, selector })
        }
        "screenshot" => {
            let name =
                step.filled_text("name", 200).unwrap_or_else(|| format!("screenshot-{index}"));
            let delay = millis(step.int("delay", 0..=10_000), 0);
            let product = Product::Picture(screenshot::picture(step));
            Some(Action::Output { name, product, delay })
        }
        "diff" => {
            let name = step.filled_text("name", 200).unwrap_or_else(|| format!("diff-{index}"));
            let delay = millis(step.int("delay", 0..=10_000), 0);
            step.rename("selector_a", "selector");
            let region = screenshot::region(step);
            let threshold = comparison::threshold(step);
            let other = page::named_target(step, "url_b", "html_b")?;
            let picture = Picture { format: Format::Png, region, omit_background: false };
            Some(Action::Compare { name, picture, other, threshold, delay })
        }
        _ => {
            let name = step.filled_text("name", 200).unwrap_or_else(|| format!("pdf-{index}"));
            let product = Product::Pdf(pdf::pdf(step));
            Some(Action::Output { name, product, delay: Duration::ZERO })
        }
    }
}

fn navigate(step: &mut Fields) -> Option<Action> {
    let url = needed(step, "url")?;
    match url.parse::<Url>() {
        Ok(url) => match page::allowed(step, "url", url)? {
            Target::Url(url) => Some(Action::Navigate(url)),
            _ => None,
        },
        Err(error) => {
            let found = format!("not an address ({error}): {}", shortened(&url));
            step.wrong("url", &found, "give one like https://example.com/")
        }
    }
}

fn needed(step: &mut Fields, name: &'static str) -> Option<String> {
    if step.has(name) { step.filled_text(name, 8_192) } else { missing(step, name) }
}

fn missing<T>(step: &mut Fields, name: &str) -> Option<T> {
    let field = step.named(name);
    let message = format!("`{field}` is missing; this action needs it");
    step.problem(Problem::new(Code::MissingField, message).field(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(steps: Value) -> (Code, String) {
        let problem = SequenceRequest::read(json!({ "steps": steps })).expect_err("refused");
        assert!(problem.message.contains(';') || problem.message.contains('?'), "{problem}");
        (problem.code, problem.field.unwrap_or_default())
    }

    #[test]
    fn a_form_is_read_step_by_step() {
        let body = json!({
            "viewport": { "width": 1000, "height": 600 },
            "steps": [
                { "action": "navigate", "url": "http://a.example/" },
                { "action": "fill", "selector": "#a", "value": "hunter2" },
                { "action": "press_key", "key": "Enter", "selector": "#a" },
                { "action": "wait_for", "selector": "#done", "optional": true },
                { "action": "screenshot", "name": "after", "fullPage": true, "format": "webp" },
            ],
        });
        let request = SequenceRequest::read(body).expect("sound");
        assert_eq!((request.page.viewport.width, request.steps.len()), (1000, 5));
        assert!(request.steps[3].optional);
        let record: Vec<_> = request.steps.iter().map(|step| step.record().to_string()).collect();
        assert!(!record.concat().contains("hunter2"), "{record:?}");
        assert!(matches!(&request.steps[4].action, Action::Output { name, .. } if name == "after"));
        assert!(request.ignored.is_empty());
    }

    #[test]
    fn a_comparison_is_an_output_and_decoration_is_listed() {
        let body = json!({
            "steps": [
                { "action": "navigate", "url": "http://a.example/" },
                { "action": "diff", "url_b": "http://b.example/", "selector_a": "#total" },
                { "action": "screenshot", "style": { "frame": "macos" } },
            ],
            "observeAfterEachStep": true, "blockAds": true,
        });
        let request = SequenceRequest::read(body).expect("sound");
        assert!(request.observe && request.page.blocking.ads);
        assert_eq!(request.ignored, ["steps[2].style"]);
        assert!(
            matches!(&request.steps[1].action, Action::Compare { threshold, .. } if *threshold < 0.2)
        );
    }

    #[test]
    fn every_problem_names_its_step() {
        let shot = json!({ "action": "screenshot" });
        let with = |step: Value| json!([step, shot]);
        let cases = [
            (json!([{ "action": "wait", "ms": 1 }]), Code::InvalidField, "steps"),
            (json!(vec![shot.clone(); 6]), Code::InvalidField, "steps"),
            (json!(vec![shot.clone(); 101]), Code::InvalidField, "steps"),
            (with(json!({ "selector": "p" })), Code::MissingField, "steps[0].action"),
            (with(json!({ "action": "fly" })), Code::InvalidField, "steps[0].action"),
            (with(json!({ "action": "click" })), Code::MissingField, "steps[0].selector"),
            (with(json!({ "action": "wait", "ms": 10_001 })), Code::InvalidField, "steps[0].ms"),
            (
                with(json!({ "action": "navigate", "url": "file:///x" })),
                Code::TargetForbidden,
                "steps[0].url",
            ),
            (
                with(json!({ "action": "press_key", "key": "F5" })),
                Code::InvalidField,
                "steps[0].key",
            ),
            (
                with(json!({ "action": "hover", "selector": "p", "x": 1 })),
                Code::UnknownField,
                "steps[0].x",
            ),
        ];
        for (steps, code, field) in cases {
            assert_eq!(refused(steps), (code, field.to_owned()));
        }
    }
}
