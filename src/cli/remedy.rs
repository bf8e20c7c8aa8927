//! Owns the words for what a run lacks, as the command line says them: the API's sentences name
//! requests, and here they name commands. Of a sealed run only what is missing is said: nothing can be
//! added to it.

use crate::id::RunId;
use crate::workflow::without_remedy;

/// What is missing by `reason`, and, while `run` is open, the command that adds it.
pub(super) fn by_command(reason: &str, run: Option<RunId>) -> String {
    let lack = without_remedy(reason);
    let remedy = reason[lack.len()..].trim_start_matches("; ");
    let Some(run) = run.filter(|_| !remedy.is_empty()) else { return lack.to_owned() };
    match command(remedy, run) {
        Some(command) => format!("{lack}; {command}"),
        None => reason.replace("{id}", &run.to_string()),
    }
}

/// The command that does what the request in `remedy` does; none where no command does.
fn command(remedy: &str, run: RunId) -> Option<String> {
    let quoted = |name: &str| {
        let (_, rest) = remedy.split_once(&format!("\"{name}\": \""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    Some(if remedy.contains("/captures") {
        let verb = match quoted("type") {
            None | Some("screenshot") => "shot",
            Some("pdf") => "pdf",
            Some(_) => return None,
        };
        let stage = quoted("stage").map_or(String::new(), |stage| format!(" --stage {stage}"));
        format!("take one: exhibit {verb} URL --run {run}{stage}")
    } else if remedy.contains("/recordings") {
        format!("make one: exhibit record URL --run {run}")
    } else if remedy.contains("`approval`") {
        format!("add it: exhibit run log {run} MESSAGE --kind approval")
    } else if remedy.contains("/events") {
        format!("add an event: exhibit run log {run} MESSAGE")
    } else if remedy.contains("/code") {
        let what = if remedy.contains("`review`") { "review URL" } else { "commit COMMIT" };
        format!("name it: exhibit run code {run} --{what}")
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunSpec;
    use crate::workflow::{Field, Layer, Policy, Tally, judge};

    #[test]
    fn every_lack_that_a_request_mends_names_a_command_while_the_run_is_open() {
        let run: RunId = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57".parse().expect("an id");
        let policy = Policy {
            layers: vec![Layer::Log, Layer::Code, Layer::Visual],
            stages: [("before".to_owned(), vec![]), ("after".to_owned(), vec!["pdf".to_owned()])]
                .into(),
            recording: true,
            incomplete_views: false,
            fields: Field::ALL.iter().map(|(_, field)| *field).collect(),
            controls: vec![],
            retention: None,
            max_duration_ms: None,
        };
        let judged = judge(&policy, &RunSpec::default(), &Tally::default(), []);
        let reasons: Vec<&str> = judged.missing().collect();
        assert!(reasons.iter().filter(|reason| reason.contains("POST /")).count() >= 6);
        for reason in reasons {
            let (open, sealed) = (by_command(reason, Some(run)), by_command(reason, None));
            assert!(!open.contains("POST /") && !sealed.contains("POST /"), "{open}");
            assert!(open.starts_with(&sealed), "{open}");
            assert_eq!(open.contains("exhibit "), reason.contains("POST /"), "{open}");
        }
        let kind = "the stage `after` has no observe; take one with POST /runs/{id}/captures and \
                    {\"type\": \"observe\", \"stage\": \"after\"}";
        assert!(by_command(kind, Some(run)).contains(&format!("POST /runs/{run}/captures")));
    }
}
