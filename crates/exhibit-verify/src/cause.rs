//! Owns how an error is written for a log or a finding: it and all its causes, on one line.

/// `error` and all its causes on one line, for the log. A cause that says again what stands at the end
/// already is said once.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| {
        let said = cause.to_string();
        if line.ends_with(&said) { line } else { format!("{line}: {said}") }
    })
}
