//! How much of a request's time was Tollgate's own, as its answer says it.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use smallvec::SmallVec;

/// The field, in milliseconds; LiteLLM's name.
pub const OVERHEAD: HeaderName = HeaderName::from_static("x-litellm-overhead-duration-ms");

/// With three decimals. Every answer has it, and the standard library's formatting of them is several times as dear.
pub fn milliseconds(time: Duration) -> HeaderValue {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut text: SmallVec<[u8; 24]> = SmallVec::new();
    text.extend_from_slice(itoa::Buffer::new().format(micros / 1000).as_bytes());
    let digit = |place: u64| b'0' + (micros / place % 10) as u8;
    text.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
}
