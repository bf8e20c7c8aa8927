//! Owns the putting into force of what must be there before anything is loaded: window, media,
//! identity, place.

use chromiumoxide_cdp::cdp::browser_protocol::dom::Rgba;
use chromiumoxide_cdp::cdp::browser_protocol::emulation::{
    MediaFeature, SetDefaultBackgroundColorOverrideParams, SetEmulatedMediaParams,
    SetGeolocationOverrideParams, SetTimezoneOverrideParams, SetTouchEmulationEnabledParams,
    SetUserAgentOverrideParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::network::{Headers, SetExtraHttpHeadersParams};
use chromiumoxide_cdp::cdp::browser_protocol::page::SetBypassCspParams;
use serde_json::{Map, Value, json};

use super::load::Trouble;
use super::page::{Page, QUICK};
use super::pipe::CallError;
use crate::error::{Code, Problem};
use crate::settings::{Cookie, Geolocation, PageSettings, Target, Viewport};

/// Put `settings` into force.
pub(super) async fn prepare(page: &Page, settings: &PageSettings) -> Result<(), Trouble> {
    if settings.viewport != Viewport::default() {
        page.set_viewport(settings.viewport).await?;
    }
    if settings.viewport.touch {
        page.call(SetTouchEmulationEnabledParams::new(true), QUICK).await?;
    }
    if settings.bypass_csp {
        page.call(SetBypassCspParams::new(true), QUICK).await?;
    }
    emulate_media(page, settings).await?;
    if let Some(place) = settings.geolocation {
        emulate_place(page, place).await?;
    }
    identify(page, settings).await
}

/// Show nothing where the page has no background of its own.
pub(super) async fn omit_background(page: &Page) -> Result<(), Trouble> {
    let color = Rgba { r: 0, g: 0, b: 0, a: Some(0.0) };
    let params = SetDefaultBackgroundColorOverrideParams { color: Some(color) };
    page.call(params, QUICK).await?;
    Ok(())
}

async fn emulate_media(page: &Page, settings: &PageSettings) -> Result<(), Trouble> {
    let mut features = Vec::new();
    if settings.dark_mode {
        features.push(MediaFeature::new("prefers-color-scheme", "dark"));
    }
    if settings.reduced_motion {
        features.push(MediaFeature::new("prefers-reduced-motion", "reduce"));
    }
    if features.is_empty() && settings.media_type.is_none() {
        return Ok(());
    }
    let media = settings.media_type.map(|media| media.as_str().to_owned());
    page.call(SetEmulatedMediaParams { media, features: Some(features) }, QUICK).await?;
    Ok(())
}

/// Tell the page where it is; it may know without asking anybody.
async fn emulate_place(page: &Page, place: Geolocation) -> Result<(), Trouble> {
    let params = SetGeolocationOverrideParams {
        latitude: Some(place.latitude),
        longitude: Some(place.longitude),
        accuracy: Some(place.accuracy),
        ..SetGeolocationOverrideParams::default()
    };
    page.call(params, QUICK).await?;
    page.grant("geolocation").await?;
    Ok(())
}

/// How the page presents itself to servers.
async fn identify(page: &Page, settings: &PageSettings) -> Result<(), Trouble> {
    if let Some(user_agent) = &settings.user_agent {
        page.call(SetUserAgentOverrideParams::new(user_agent.clone()), QUICK).await?;
    }
    if let Some(zone) = &settings.time_zone {
        let params = SetTimezoneOverrideParams::new(zone.clone());
        let remedy = "give an IANA name like Europe/Berlin";
        page.call(params, QUICK).await.map_err(|e| refused(e, "timeZone", zone, remedy))?;
    }
    if !settings.headers.is_empty() {
        let headers = settings.headers.iter();
        let headers: Map<String, Value> =
            headers.map(|(name, value)| (name.clone(), json!(value.expose()))).collect();
        let params = SetExtraHttpHeadersParams::new(Headers::new(Value::Object(headers)));
        let sent = page.call(params, QUICK).await;
        sent.map_err(|e| refused(e, "headers", "refused", "check names and values"))?;
    }
    if !settings.cookies.is_empty() {
        let cookies = settings.cookies.iter();
        let cookies: Vec<Value> =
            cookies.map(|cookie| cookie_param(cookie, &settings.target)).collect();
        let sent = page.call_raw("Network.setCookies", json!({ "cookies": cookies }), QUICK).await;
        sent.map_err(|e| refused(e, "cookies", "refused", "check domains, paths and names"))?;
    }
    Ok(())
}

/// What the browser says of a value it does not accept, as a problem with that field.
fn refused(error: CallError, field: &str, value: &str, remedy: &str) -> Trouble {
    match error {
        CallError::Refused { ref message, .. } => {
            let text =
                format!("`{field}` is {value}, which the browser refuses ({message}); {remedy}");
            Problem::new(Code::InvalidField, text).field(field).into()
        }
        other => other.into(),
    }
}

fn cookie_param(cookie: &Cookie, target: &Target) -> Value {
    let mut param = json!({
        "name": cookie.name,
        "value": cookie.value.expose(),
        "secure": cookie.secure,
        "httpOnly": cookie.http_only,
    });
    if let Some(path) = &cookie.path {
        param["path"] = json!(path);
    }
    match (&cookie.domain, target) {
        (Some(domain), _) => param["domain"] = json!(domain),
        (None, Target::Url(url)) => param["url"] = json!(url.as_str()),
        (None, Target::Html(_)) => {}
    }
    param
}
