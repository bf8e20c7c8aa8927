//! Owns the shapes of the events that are read: only the fields in use, everything that may be
//! missing optional, enumerations as text. A newer browser's extra or changed fields cost nothing.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::backend::{Document, TlsFacts};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestWillBeSent {
    /// Monotonic seconds.
    #[serde(default)]
    pub(super) timestamp: f64,
    /// Seconds since the epoch.
    #[serde(default)]
    pub(super) wall_time: f64,
    pub(super) request_id: String,
    pub(super) request: Request,
    pub(super) redirect_response: Option<Response>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) frame_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Request {
    pub(super) url: String,
    #[serde(default)]
    pub(super) method: String,
    #[serde(default)]
    pub(super) headers: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResponseReceived {
    #[serde(default)]
    pub(super) timestamp: f64,
    pub(super) request_id: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) frame_id: Option<String>,
    pub(super) response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    pub(super) url: String,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) status_text: String,
    #[serde(default)]
    pub(super) mime_type: String,
    #[serde(default)]
    pub(super) headers: Map<String, Value>,
    #[serde(rename = "remoteIPAddress")]
    pub(super) remote_ip_address: Option<String>,
    pub(super) remote_port: Option<u16>,
    pub(super) protocol: Option<String>,
    pub(super) security_details: Option<SecurityDetails>,
    #[serde(default)]
    pub(super) from_service_worker: bool,
    pub(super) service_worker_response_source: Option<String>,
}

impl Response {
    pub(super) fn into_document(self) -> Document {
        let port = self.remote_port;
        let address = self.remote_ip_address.filter(|address| !address.is_empty());
        Document {
            status: self.status,
            status_text: self.status_text,
            mime_type: self.mime_type,
            remote_address: address
                .map(|ip| port.map_or(ip.clone(), |port| format!("{ip}:{port}"))),
            protocol: self.protocol,
            from_service_worker: self.from_service_worker,
            tls: self.security_details.map(SecurityDetails::into_facts),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct SecurityDetails {
    pub(super) protocol: String,
    pub(super) key_exchange: String,
    pub(super) cipher: String,
    pub(super) subject_name: String,
    pub(super) issuer: String,
    pub(super) san_list: Vec<String>,
    pub(super) valid_from: f64,
    pub(super) valid_to: f64,
}

impl SecurityDetails {
    pub(super) fn into_facts(self) -> TlsFacts {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds since the epoch")]
        let time = |seconds: f64| {
            jiff::Timestamp::from_second(seconds as i64)
                .map(|at| at.to_string())
                .unwrap_or_default()
        };
        let cipher = [self.key_exchange, self.cipher];
        TlsFacts {
            protocol: self.protocol,
            cipher: cipher.join(" ").trim().to_owned(),
            subject: self.subject_name,
            issuer: self.issuer,
            names: self.san_list,
            valid_from: time(self.valid_from),
            valid_to: time(self.valid_to),
            certificate_sha256: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestPaused {
    pub(super) request_id: String,
    pub(super) request: PausedRequest,
    #[serde(default)]
    pub(super) resource_type: String,
    pub(super) frame_id: Option<String>,
    /// There once it was answered.
    pub(super) response_status_code: Option<u16>,
    pub(super) response_error_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PausedRequest {
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScreencastFrame {
    pub(super) data: String,
    pub(super) metadata: FrameMetadata,
    pub(super) session_id: i64,
}

#[derive(Deserialize)]
pub(super) struct FrameMetadata {
    pub(super) timestamp: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct WebSocketCreated {
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoadingEnded {
    pub(super) timestamp: Option<f64>,
    pub(super) encoded_data_length: Option<f64>,
    pub(super) request_id: String,
    pub(super) error_text: Option<String>,
    pub(super) blocked_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct FrameNavigated {
    pub(super) frame: Frame,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame {
    pub(super) id: String,
    pub(super) loader_id: String,
    pub(super) url: String,
    pub(super) url_fragment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NavigatedWithin {
    pub(super) frame_id: String,
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lifecycle {
    pub(super) frame_id: String,
    pub(super) loader_id: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct DialogOpening {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) message: String,
}

#[derive(Deserialize)]
pub(super) struct WindowOpen {
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConsoleCall {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) args: Vec<RemoteObject>,
    pub(super) stack_trace: Option<StackTrace>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StackTrace {
    pub(super) call_frames: Vec<CallFrame>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallFrame {
    pub(super) url: String,
    pub(super) line_number: u64,
}

#[derive(Deserialize)]
pub(super) struct RemoteObject {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) value: Option<Value>,
    pub(super) description: Option<String>,
}

impl RemoteObject {
    pub(super) fn text(&self) -> String {
        match (&self.value, &self.description) {
            (Some(Value::String(text)), _) | (None, Some(text)) => text.clone(),
            (Some(value), _) => value.to_string(),
            (None, None) => self.kind.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExceptionThrown {
    pub(super) exception_details: ExceptionDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExceptionDetails {
    pub(super) text: String,
    pub(super) line_number: u64,
    pub(super) url: Option<String>,
    pub(super) exception: Option<RemoteObject>,
}

#[derive(Deserialize)]
pub(super) struct EntryAdded {
    pub(super) entry: LogEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogEntry {
    pub(super) level: String,
    pub(super) text: String,
    pub(super) url: Option<String>,
    pub(super) line_number: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attached {
    pub(super) session_id: String,
    pub(super) target_info: AttachedTarget,
}

#[derive(Deserialize)]
pub(super) struct AttachedTarget {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NavigationScheduled {
    pub(super) frame_id: String,
    /// Seconds.
    #[serde(default)]
    pub(super) delay: f64,
    #[serde(default)]
    pub(super) reason: String,
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NavigationCleared {
    pub(super) frame_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NavigationRequested {
    pub(super) frame_id: String,
    #[serde(default)]
    pub(super) reason: String,
    pub(super) url: String,
}
