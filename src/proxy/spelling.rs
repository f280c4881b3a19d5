//! How names of fields are spelled over HTTP/1, which Pingora remembers beside the fields themselves.
//!
//! The law: a client reads an upstream's names as the upstream spelled them. Where that is how Pingora spells them anyway, nothing
//! has to be remembered: fields are then added at a quarter of the cost, since every field in the memory is hashed twice and
//! its name copied and shared.
//!
//! What is told is not decided here.

use std::mem;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use pingora::ErrorType;
use pingora::http::{IntoCaseHeaderName, ResponseHeader};
use pingora::prelude::{OrErr, Result};

/// Puts one line in place of all of its name, for each of `fields`.
pub(super) fn tell(
    response: &mut ResponseHeader,
    fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
) -> Result<()> {
    if !is_usual(response) {
        return fields.into_iter().try_for_each(|(name, value)| response.insert_header(name, value));
    }
    let own = response.get_reason_phrase().filter(|reason| Some(*reason) != response.status.canonical_reason());
    let own = own.map(str::to_owned);
    let mut parts = Parts::from(mem::replace(response, blank()));
    let told = put(&mut parts.headers, fields);
    *response = ResponseHeader::from(parts);
    if own.is_some() {
        response.set_reason_phrase(own.as_deref())?;
    }
    told
}

fn put(map: &mut HeaderMap, fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Result<()> {
    for (name, value) in fields {
        map.try_insert(name, value).or_err(ErrorType::InvalidHTTPHeader, "more fields than a head can hold")?;
    }
    Ok(())
}

fn blank() -> ResponseHeader {
    ResponseHeader::from(http::Response::new(()).into_parts().0)
}

/// Whether every name is spelled as Pingora spells it by itself.
fn is_usual(response: &ResponseHeader) -> bool {
    let spelled = response.case_header_iter().map(|(spelled, _)| spelled);
    response.headers.iter().zip(spelled).all(|((name, _), spelled)| {
        let usual = name.into_case_header_name();
        usual.as_slice() == spelled.as_slice()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(response: &ResponseHeader) -> String {
        let mut out = bytes::BytesMut::new();
        response.header_to_h1_wire(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_head_reads_the_same_whether_spelling_is_remembered() {
        let told = [
            (HeaderName::from_static("x-told"), HeaderValue::from_static("1")),
            (HeaderName::from_static("x-known"), HeaderValue::from_static("2")),
        ];
        for names in [
            &["Server", "Content-Type", "x-known", "x-known", "Set-Cookie", "Set-Cookie"][..],
            &["server", "content-type", "x-known"],
            &["SERVER", "X-Known", "x-request-id"],
            &["Server", "X-Request-Id"],
            &[],
        ] {
            for (status, reason) in
                [(200, Some("OK")), (200, Some("Fine")), (200, Some("")), (299, None), (299, Some("x"))]
            {
                let mut given = ResponseHeader::build(status, None).expect("a status");
                given.set_reason_phrase(reason).expect("a reason");
                for (number, name) in names.iter().enumerate() {
                    given.append_header(*name, number).expect("a field");
                }
                let mut remembering = given.clone();
                for (name, value) in &told {
                    remembering.insert_header(name.clone(), value).expect("a field");
                }
                tell(&mut given, told.clone()).expect("fields");
                assert_eq!(wire(&given), wire(&remembering), "{names:?}");
                assert_eq!(given.get_reason_phrase(), remembering.get_reason_phrase(), "{names:?} {status}");
                assert_eq!(given.status, remembering.status);
            }
        }
    }

    #[test]
    fn what_is_usual() {
        for (names, usual) in [
            (&["Server", "x-request-id", "Date", "Content-Type"][..], true),
            (&["ETag"], false),
            (&["server"], false),
            (&["x-request-id", "X-Request-Id"], false),
            (&["X-Request-ID"], false),
        ] {
            let mut response = ResponseHeader::build(200, None).expect("a status");
            for name in names {
                response.append_header(*name, "1").expect("a field");
            }
            assert_eq!(is_usual(&response), usual, "{names:?}");
        }
        assert!(is_usual(&ResponseHeader::build_no_case(200, None).expect("a status")));
    }
}
