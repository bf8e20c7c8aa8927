//! Owns the rest of a body: whoever is answered while still sending would find the connection
//! broken instead of the answer, so what was not read is read and dropped, within limits.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};

/// Most bytes that are dropped for one answer, and the longest time that may take. Beyond these
/// the connection is closed.
pub(super) const DROPPED: u64 = 128 * 1024 * 1024;
const LONGEST: Duration = Duration::from_secs(10);
/// The longest time for a body that says to be longer than that, so that it will not be read to its end.
const BRIEF: Duration = Duration::from_secs(1);

/// How many bytes a request with these `headers` says that its body has; none where it says nothing.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body that its handler may leave behind.
#[derive(Clone)]
struct Lent(Arc<Mutex<(BodyDataStream, bool)>>);

impl Lent {
    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.1 = true;
        body.0.poll_next_unpin(context)
    }

    fn is_begun(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn stream(&self) -> impl stream::Stream<Item = Result<Bytes, axum::Error>> + use<> {
        let body = self.clone();
        stream::poll_fn(move |context| body.poll_next(context))
    }

    /// Read and drop what is left.
    async fn drain(&self) {
        let mut left = DROPPED;
        let mut rest = std::pin::pin!(self.stream());
        while let Some(Ok(chunk)) = rest.next().await {
            let Some(less) = left.checked_sub(chunk.len() as u64) else { return };
            left = less;
        }
    }
}

/// Answer with what `next` answers; a refusal is sent when the client is ready to hear it.
pub(super) async fn hear_out(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // Who asks first (`Expect: 100-continue`) and is refused at once does not send at all.
    let asks = parts.headers.contains_key(EXPECT);
    let longest = match announced(&parts.headers) {
        Some(length) if length > DROPPED => BRIEF,
        _ => LONGEST,
    };
    let lent = Lent(Arc::new(Mutex::new((body.into_data_stream(), false))));
    let request = Request::from_parts(parts, Body::from_stream(lent.stream()));
    let response = next.run(request).await;
    let refused = response.status().is_client_error() || response.status().is_server_error();
    if refused && (lent.is_begun() || !asks) {
        // When it takes too long the answer goes out all the same.
        let _ = tokio::time::timeout(longest, lent.drain()).await;
    }
    response
}
