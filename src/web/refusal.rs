//! Owns the page that says why something is not shown.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::error::{Code, Problem, chain};

/// Why something is not shown.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    viewer: Option<String>,
    signed_in: bool,
    refresh: Option<u32>,
    title: &'static str,
    message: String,
    code: &'a str,
    sign_in: bool,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let code = problem.code;
        if code.status() >= 500 {
            tracing::warn!(code = %code, error = chain(&problem), "a page failed");
        }
        let sign_in = matches!(code, Code::Unauthorized | Code::LinkNotValid);
        let title = match code.status() {
            401 => "Not signed in",
            403 => "Not allowed",
            404 => "Not found",
            400..500 => "That cannot be shown",
            _ => "Something failed",
        };
        let status = StatusCode::from_u16(code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let page = RefusalPage {
            viewer: None,
            signed_in: false,
            refresh: None,
            title,
            message: crate::report::text(&problem.message),
            code: code.as_str(),
            sign_in,
        };
        (status, page_of(&page)).into_response()
    }
}

/// The page that a template makes.
pub(super) fn page_of(template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
