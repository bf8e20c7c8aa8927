//! Owns the hint that goes with a selector which matches nothing: what on the page it may have been
//! meant to match.

use std::time::Duration;

use serde_json::json;

use super::error::PageError;
use super::page::Page;
use super::script::World;
use crate::error::{CaptureError, ErrorKind};

/// Limit for the look at the page: the refusal does not wait long for its hint.
const LIMIT: Duration = Duration::from_secs(2);
/// Selectors named in a hint.
const NAMED: usize = 3;

/// Nothing on the page matches `selector`, the value of `field`.
pub(super) async fn not_found(page: &Page, field: &str, selector: &str) -> PageError {
    let message =
        format!("`{field}` is `{selector}`, and nothing on the page matches it; correct it");
    let problem = CaptureError::new(ErrorKind::SelectorNotFound, message).field(field);
    hinted(page, problem, selector).await
}

/// `problem`, with the selectors of the page that come nearest to `selector` in its hint.
pub(super) async fn hinted(page: &Page, problem: CaptureError, selector: &str) -> PageError {
    const SELECTORS: &str = "most => {
        const found = new Set();
        for (const element of document.querySelectorAll('[id], [name], [class], [data-testid]')) {
            const tag = CSS.escape(element.localName);
            if (element.id) found.add('#' + CSS.escape(element.id));
            for (const name of ['name', 'data-testid']) {
                const value = element.getAttribute(name);
                if (value) found.add(`${tag}[${name}=\"${CSS.escape(value)}\"]`);
            }
            for (const one of element.classList) found.add('.' + CSS.escape(one));
            if (found.size >= most) break;
        }
        return Array.from(found, one => (one.length > 200 ? one.slice(0, 200) + '…' : one)).slice(0, most);
    }";
    let looking = async {
        World::isolated(page).await?.call::<Vec<String>>(SELECTORS, &[json!(2_000)], LIMIT).await
    };
    let found = tokio::time::timeout(LIMIT, looking).await.ok().and_then(Result::ok);
    let near = nearest(selector, found.unwrap_or_default());
    if near.is_empty() {
        return problem.into();
    }
    problem.hint(format!("on the page are: {}", near.join(", "))).into()
}

/// The few of `found` that are most like `selector`, and like it at all.
fn nearest(selector: &str, found: Vec<String>) -> Vec<String> {
    let wanted = selector.to_lowercase();
    let mut scored: Vec<(usize, String)> = found
        .into_iter()
        .map(|one| {
            let one_lower = one.to_lowercase();
            let bare = |text: &str| text.trim_start_matches(['#', '.']).to_owned();
            let distance = strsim::damerau_levenshtein(&bare(&wanted), &bare(&one_lower));
            (distance, one)
        })
        .filter(|(distance, _)| *distance <= 2 + selector.len() / 3)
        .collect();
    scored.sort();
    scored.into_iter().take(NAMED).map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_found_and_what_is_unlike_is_not_named() {
        let found = ["#amount", "#approve", ".total", "input[name=\"reason\"]"].map(str::to_owned);
        assert_eq!(nearest("#amuont", found.to_vec()), ["#amount"]);
        assert_eq!(nearest(".amount", found.to_vec())[0], "#amount");
        assert_eq!(nearest("#nothing-like-it", found.to_vec()), Vec::<String>::new());
    }
}
