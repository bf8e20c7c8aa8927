//! Owns where a capture's picture lies in the folder, and where the capture stands in the report.

use super::embed::picture_type;
use super::story::EventFiles;
use crate::evidence::is_safe_path;

impl EventFiles {
    /// The path of the picture itself, as it was taken.
    pub(super) fn picture(&self) -> Option<&str> {
        let path = self.file("screenshot").or_else(|| self.file("og-image"))?.path.as_str();
        (picture_type(path).is_some() && is_safe_path(path)).then_some(path)
    }

    /// The status of the page that was captured, where it is one of an error (RFC 9110, 15.5 and 15.6).
    pub(super) fn error_page(&self) -> Option<String> {
        let status = self.data.get("status").and_then(serde_json::Value::as_u64);
        status.filter(|status| *status >= 400).map(|status| format!("HTTP {status}"))
    }

    /// The path of its accessibility tree.
    pub(super) fn tree(&self) -> Option<&str> {
        let mut paths = self.files.iter().map(|file| file.path.as_str());
        paths.find(|path| path.ends_with("/accessibility.json.zst"))
    }

    /// Where it stands in the report.
    pub(super) fn anchor(&self) -> String {
        format!("capture-{}", self.line)
    }

    /// The same, where it is shown with its caption; empty where it is not.
    pub(super) fn captioned(&self) -> String {
        let framed = self.file("framed").filter(|file| picture_type(&file.path).is_some());
        framed.filter(|_| self.shown).map_or_else(String::new, |_| self.anchor())
    }
}
