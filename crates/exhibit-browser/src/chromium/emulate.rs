//! Owns the putting into force of what must be there before anything is loaded: window, media,
//! identity, place.

use chromiumoxide_cdp::cdp::browser_protocol::dom::Rgba;
use chromiumoxide_cdp::cdp::browser_protocol::emulation::{
    MediaFeature, SetDefaultBackgroundColorOverrideParams, SetEmulatedMediaParams,
    SetGeolocationOverrideParams, SetLocaleOverrideParams, SetTimezoneOverrideParams,
    SetTouchEmulationEnabledParams, SetUserAgentOverrideParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::network::{Headers, SetExtraHttpHeadersParams};
use chromiumoxide_cdp::cdp::browser_protocol::page::SetBypassCspParams;
use serde_json::{Map, Value, json};

use super::error::PageError;
use super::injected::WORLD;
use super::limits::QUICK;
use super::mask;
use super::page::{Page, orientation};
use super::pipe::CallError;
use super::script::World;
use super::watcher::CdpCommand;
use crate::error::{CaptureError, ErrorKind};
use crate::settings::{Cookie, Geolocation, Locale, OriginStorage, PageSettings, Target, Viewport};

/// Put `settings` into force; on a page that was `used` before, instead of what was in force.
pub(super) async fn prepare(
    page: &Page,
    settings: &PageSettings,
    used: bool,
) -> Result<(), PageError> {
    if used {
        reset(page).await?;
    }
    if used || settings.viewport != Viewport::default() {
        page.set_viewport(settings.viewport).await?;
    }
    if settings.viewport.touch {
        page.call(touch(), QUICK).await?;
    }
    page.set_part_commands(commands(settings));
    if settings.bypass_csp {
        page.call(SetBypassCspParams::new(true), QUICK).await?;
    }
    let masks = page.observed().masks();
    mask::put_on(page, &masks).await?;
    emulate_media(page, settings).await?;
    if let Some(place) = settings.geolocation {
        emulate_place(page, place).await?;
    }
    block(page, settings, used).await?;
    identify(page, settings).await
}

/// End what an earlier capture of the same page put into force.
async fn reset(page: &Page) -> Result<(), PageError> {
    let nothing = SetExtraHttpHeadersParams::new(Headers::new(json!({})));
    tokio::try_join!(
        page.call(SetTouchEmulationEnabledParams::new(false), QUICK),
        page.call(SetBypassCspParams::new(false), QUICK),
        page.call(SetEmulatedMediaParams { media: None, features: Some(Vec::new()) }, QUICK),
        page.call_raw("Emulation.clearGeolocationOverride", json!({}), QUICK),
        page.call(SetTimezoneOverrideParams::new(""), QUICK),
        page.call(SetUserAgentOverrideParams::new(""), QUICK),
        page.call(SetLocaleOverrideParams::default(), QUICK),
        page.call(nothing, QUICK),
    )?;
    Ok(())
}

/// Have every request judged before it is sent, if anything is to be kept from loading.
async fn block(page: &Page, settings: &PageSettings, used: bool) -> Result<(), PageError> {
    page.observed().set_blocking(settings.blocking.clone());
    if !settings.blocking.is_empty() {
        page.call_raw("Fetch.enable", json!({}), QUICK).await?;
    } else if used {
        page.call_raw("Fetch.disable", json!({}), QUICK).await?;
    }
    Ok(())
}

/// Show nothing where the page has no background of its own; or white again.
pub(super) async fn omit_background(page: &Page, omit: bool) -> Result<(), PageError> {
    let color = omit.then_some(Rgba { r: 0, g: 0, b: 0, a: Some(0.0) });
    let params = SetDefaultBackgroundColorOverrideParams { color };
    page.call(params, QUICK).await?;
    Ok(())
}

async fn emulate_media(page: &Page, settings: &PageSettings) -> Result<(), PageError> {
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
async fn emulate_place(page: &Page, place: Geolocation) -> Result<(), PageError> {
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

/// The name and the languages that the page gives servers and scripts, where they are not its own.
fn identity(settings: &PageSettings) -> Option<SetUserAgentOverrideParams> {
    if settings.user_agent.is_none() && settings.locale.is_none() {
        return None;
    }
    // Without a name the browser keeps its own.
    let mut params =
        SetUserAgentOverrideParams::new(settings.user_agent.clone().unwrap_or_default());
    params.accept_language = settings.locale.as_ref().map(Locale::languages);
    Some(params)
}

/// Five fingers, as phones have it.
fn touch() -> SetTouchEmulationEnabledParams {
    SetTouchEmulationEnabledParams { enabled: true, max_touch_points: Some(5) }
}

/// What frames of other sites, workers and windows are told, which know nothing of what their page
/// was told.
fn commands(settings: &PageSettings) -> Vec<CdpCommand> {
    let mut commands = Vec::new();
    if let Some(identity) = identity(settings) {
        let params = serde_json::to_value(identity).unwrap_or_default();
        commands.push(("Emulation.setUserAgentOverride", params));
    }
    if let Some(locale) = &settings.locale {
        commands.push(("Emulation.setLocaleOverride", json!({ "locale": locale })));
    }
    if let Some(zone) = &settings.time_zone {
        commands.push(("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })));
    }
    if settings.viewport.touch {
        let params = serde_json::to_value(touch()).unwrap_or_default();
        commands.push(("Emulation.setTouchEmulationEnabled", params));
    }
    commands
}

/// What a window that a page of this size opens is told as well: its size is its own, and the screen
/// the same.
pub(super) fn screen(viewport: Viewport) -> CdpCommand {
    let params = json!({
        "width": 0, "height": 0, "deviceScaleFactor": 0, "mobile": viewport.mobile,
        "screenWidth": viewport.width, "screenHeight": viewport.height,
        "screenOrientation": orientation(viewport),
    });
    ("Emulation.setDeviceMetricsOverride", params)
}

/// Have scripts write dates and numbers as `locale` does. Servers are asked for its languages by
/// [`identity`].
async fn speak(page: &Page, locale: &Locale) -> Result<(), PageError> {
    const KNOWN: &str = "tag => Intl.DateTimeFormat.supportedLocalesOf([tag]).length > 0";
    let remedy = "give one the browser knows, like `de-CH`";
    let params = SetLocaleOverrideParams { locale: Some(locale.to_string()) };
    let set = page.call(params, QUICK).await;
    set.map_err(|error| refused(error, "locale", locale.as_str(), remedy))?;
    if World::isolated(page).await?.call::<bool>(KNOWN, &[json!(locale)], QUICK).await? {
        return Ok(());
    }
    let message = format!("`locale` is `{locale}`, for which the browser has no data; {remedy}");
    Err(CaptureError::new(ErrorKind::InvalidField, message).field("locale").into())
}

/// How the page presents itself to servers.
async fn identify(page: &Page, settings: &PageSettings) -> Result<(), PageError> {
    if let Some(identity) = identity(settings) {
        page.call(identity, QUICK).await?;
    }
    if let Some(locale) = &settings.locale {
        speak(page, locale).await?;
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
    let signed_in = settings.auth_state.iter().flat_map(|state| &state.cookies);
    set_cookies(page, settings, settings.cookies.iter(), "cookies").await?;
    set_cookies(page, settings, signed_in, "authState.cookies").await?;
    for storage in settings.auth_state.iter().flat_map(|state| &state.local_storage) {
        store(page, storage).await?;
    }
    Ok(())
}

async fn set_cookies(
    page: &Page,
    settings: &PageSettings,
    cookies: impl Iterator<Item = &Cookie>,
    field: &str,
) -> Result<(), PageError> {
    let cookies: Vec<Value> =
        cookies.map(|cookie| cookie_param(cookie, &settings.target)).collect();
    if cookies.is_empty() {
        return Ok(());
    }
    let sent = page.call_raw("Network.setCookies", json!({ "cookies": cookies }), QUICK).await;
    sent.map_err(|e| refused(e, field, "refused", "check domains, paths and names"))?;
    Ok(())
}

/// Put local storage into place as soon as a document of its origin begins, and before its scripts.
async fn store(page: &Page, storage: &OriginStorage) -> Result<(), PageError> {
    let items: Vec<_> = storage.items.iter().map(|(name, value)| (name, value.expose())).collect();
    // JSON is JavaScript, so that no text can become code.
    let script = format!(
        "if (location.origin === {}) for (const [name, value] of {}) \
         localStorage.setItem(name, value)",
        json!(storage.origin),
        json!(items)
    );
    let params = json!({ "source": script, "worldName": WORLD });
    let added = page.call_raw("Page.addScriptToEvaluateOnNewDocument", params, QUICK).await?;
    let added: Value = serde_json::from_str(added.get()).unwrap_or_default();
    let identifier = added["identifier"].as_str().unwrap_or_default().to_owned();
    page.keep_storage(storage.origin.clone(), identifier);
    Ok(())
}

/// Once a document of an origin has had its local storage, what its scripts do with it stays.
pub(super) async fn end_storing(page: &Page) -> Result<(), PageError> {
    let url = page.observed().facts.final_url.clone();
    let origin = url.and_then(|url| url.parse::<url::Url>().ok());
    let origin = origin.map(|url| url.origin().ascii_serialization());
    if let Some(script) = origin.and_then(|origin| page.take_storage(&origin)) {
        let params = json!({ "identifier": script });
        page.call_raw("Page.removeScriptToEvaluateOnNewDocument", params, QUICK).await?;
    }
    Ok(())
}

/// What the browser says of a value it does not accept, as a problem with that field.
fn refused(error: CallError, field: &str, value: &str, remedy: &str) -> PageError {
    match error {
        CallError::Refused { ref message, .. } => {
            let text =
                format!("`{field}` is {value}, which the browser refuses ({message}); {remedy}");
            CaptureError::new(ErrorKind::InvalidField, text).field(field).into()
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
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            param[name] = value;
        }
    };
    set("path", cookie.path.as_ref().map(|path| json!(path)));
    set("sameSite", cookie.same_site.map(|same_site| json!(same_site.as_str())));
    set("expires", cookie.expires.map(|end| json!(end)));
    set("domain", cookie.domain.as_ref().map(|domain| json!(domain)));
    let own = match target {
        Target::Url(url) if cookie.domain.is_none() => Some(url),
        _ => None,
    };
    set("url", cookie.url.as_ref().or(own).map(|url| json!(url.as_str())));
    param
}
