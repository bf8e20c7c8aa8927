//! Owns what the name of a network error of Chromium's says of a document.

/// Whether an error of this name ends a document before its end.
pub(super) fn is_cut_short(name: &str) -> bool {
    matches!(
        name.trim_start_matches("net::"),
        "ERR_CONTENT_LENGTH_MISMATCH"
            | "ERR_INCOMPLETE_CHUNKED_ENCODING"
            | "ERR_INVALID_CHUNKED_ENCODING"
            | "ERR_CONTENT_DECODING_FAILED"
            | "ERR_INCOMPLETE_HTTP2_HEADERS"
            | "ERR_HTTP2_PROTOCOL_ERROR"
    )
}
