//! Owns the reading of who a page is for: request headers, cookies, and the state of a browser that
//! is signed in. Every value is a secret.

use serde_json::{Map, Value};
use url::Url;

use super::fields::{Fields, shortened};
use crate::error::{Code, Problem};
use crate::secret::Secret;
use crate::settings::{AuthState, Cookie, OriginStorage, SameSite, Target};

/// Headers a caller adds to every request of the page.
pub(super) fn headers(fields: &mut Fields) -> Vec<(String, Secret<String>)> {
    let given = fields.value("headers").unwrap_or(Value::Object(Map::new()));
    let Value::Object(map) = given else {
        let _: Option<()> = fields.wrong("headers", "not an object", "give {\"Name\": \"value\"}");
        return Vec::new();
    };
    let mut headers = Vec::new();
    if let Some(value) = fields.filled_text("authorization", 8_192) {
        headers.push(("Authorization".to_owned(), Secret::new(value)));
    }
    for (name, value) in map {
        let sound = |text: &str| !text.contains(['\r', '\n', '\0']);
        match value {
            Value::String(value) if sound(&value) && sound(&name) && !name.is_empty() => {
                headers.push((name, Secret::new(value)));
            }
            _ => {
                let field = format!("headers.{}", shortened(&name));
                let remedy = "give a string without line breaks";
                let _: Option<()> = fields.wrong(&field, "not a header", remedy);
            }
        }
    }
    headers
}

/// The cookies of a request, each with what it needs to be set.
pub(super) fn cookies(fields: &mut Fields, target: Option<&Target>) -> Vec<Cookie> {
    let cookies = cookie_list(fields);
    let homeless = |cookie: &Cookie| cookie.domain.is_none() && cookie.url.is_none();
    if !matches!(target, None | Some(Target::Url(_)))
        && let Some(index) = cookies.iter().position(homeless)
    {
        let field = format!("cookies[{index}].domain");
        let remedy = "give the cookie's domain: only the host of a `url` can stand for it";
        let _: Option<()> = fields.wrong(&field, "missing", remedy);
    }
    cookies
}

fn cookie_list(fields: &mut Fields) -> Vec<Cookie> {
    let cookies = fields.list("cookies", 100).unwrap_or_default();
    let read = cookies.into_iter().enumerate().filter_map(|(index, value)| {
        let name = format!("cookies[{index}]");
        match value {
            Value::Object(map) => {
                let prefix = format!("{}.", fields.named(&name));
                cookie_object(fields, prefix, map)
            }
            Value::String(pair) if cookie_pair(&pair).is_some() => cookie_pair(&pair),
            _ => {
                let remedy = "give \"name=value\" or {\"name\": …, \"value\": …}";
                fields.wrong(&name, "not a cookie", remedy)
            }
        }
    });
    read.collect()
}

fn cookie_pair(pair: &str) -> Option<Cookie> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    (!name.is_empty()).then(|| Cookie::new(name.to_owned(), Secret::new(value.to_owned())))
}

/// The hosted API passes keys it does not know, so these are not refused here either.
fn cookie_object(fields: &mut Fields, prefix: String, map: Map<String, Value>) -> Option<Cookie> {
    const SAME_SITE: &[(&str, Option<SameSite>)] = &[
        ("Strict", Some(SameSite::Strict)),
        ("strict", Some(SameSite::Strict)),
        ("Lax", Some(SameSite::Lax)),
        ("lax", Some(SameSite::Lax)),
        ("None", Some(SameSite::None)),
        // The words of browser extensions, which export cookies.
        ("no_restriction", Some(SameSite::None)),
        ("unspecified", None),
    ];
    fields.nested(map, prefix, |cookie| {
        let name = needed(cookie, "name")?;
        if !cookie.has("value") {
            return missing(cookie, "value");
        }
        let value = Secret::new(cookie.text("value", 4_096)?);
        let end = cookie.number("expirationDate", -1.0..=1e11);
        let read = Cookie {
            domain: cookie.filled_text("domain", 255),
            path: cookie.filled_text("path", 4_096),
            secure: cookie.flag("secure").unwrap_or(false),
            http_only: cookie.flag("httpOnly").unwrap_or(false),
            url: address(cookie),
            same_site: cookie.choice("sameSite", SAME_SITE).flatten(),
            // Playwright writes -1 for a cookie that ends with the session.
            expires: cookie.number("expires", -1.0..=1e11).or(end).filter(|end| *end >= 0.0),
            ..Cookie::new(name, value)
        };
        cookie.rest();
        Some(read)
    })
}

fn address(cookie: &mut Fields) -> Option<Url> {
    let text = cookie.filled_text("url", 8_192)?;
    let parsed = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    parsed.or_else(|| cookie.wrong("url", "not an address", "give one like https://example.com/"))
}

/// Cookies and local storage of a browser that is signed in, as Playwright's `storageState` has
/// them.
pub(super) fn auth_state(fields: &mut Fields) -> Option<AuthState> {
    fields.object("authState", |state| {
        // The names of Playwright's `storageState`.
        state.rename("origins", "localStorage");
        let cookies = cookie_list(state);
        let mut local_storage = Vec::new();
        for (index, value) in
            state.list("localStorage", 100).unwrap_or_default().into_iter().enumerate()
        {
            let prefix = state.named(&format!("localStorage[{index}]"));
            match value {
                Value::Object(map) => {
                    local_storage.extend(state.nested(map, format!("{prefix}."), origin_storage));
                }
                _ => {
                    let name = format!("localStorage[{index}]");
                    let _: Option<()> =
                        state.wrong(&name, "not an object", "give {\"origin\": …, \"items\": […]}");
                }
            }
        }
        Some(AuthState { cookies, local_storage })
    })
}

fn origin_storage(fields: &mut Fields) -> Option<OriginStorage> {
    fields.rename("localStorage", "items");
    let text = needed(fields, "origin")?;
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        return fields.wrong("origin", "no origin", "give one like https://example.com");
    };
    let mut items = Vec::new();
    for (index, value) in fields.list("items", 1_000).unwrap_or_default().into_iter().enumerate() {
        let Value::Object(map) = value else {
            let name = format!("items[{index}]");
            return fields.wrong(&name, "not an object", "give {\"name\": …, \"value\": …}");
        };
        let prefix = fields.named(&format!("items[{index}]."));
        let item = fields.nested(map, prefix, |item| {
            let name = needed(item, "name")?;
            Some((name, Secret::new(item.text("value", 1_000_000)?)))
        });
        items.push(item?);
    }
    Some(OriginStorage { origin: url.origin().ascii_serialization(), items })
}

fn needed(fields: &mut Fields, name: &'static str) -> Option<String> {
    if fields.has(name) { fields.filled_text(name, 8_192) } else { missing(fields, name) }
}

fn missing<T>(fields: &mut Fields, name: &str) -> Option<T> {
    let field = fields.named(name);
    let message = format!("`{field}` is missing; give it");
    fields.problem(Problem::new(Code::MissingField, message).field(field))
}
