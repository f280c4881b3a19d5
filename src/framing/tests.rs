//! The classes of ambiguous framing, each with several members, and what is plainly legal.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { bytes: 64 << 10, fields: 100, target: 16 << 10 };

/// What becomes of a head and the bytes after it: the body's length, or the fault.
fn read(bytes: &[u8]) -> Result<usize, Fault> {
    let bytes = &bytes[Scan::default().skip(bytes)..];
    let end = Scan::default().find(bytes, &LIMITS)?.expect("a whole head");
    let mut body = Head::read(&bytes[..end], &LIMITS)?.body;
    let taken = body.take(&bytes[end..])?;
    assert!(body.is_done(), "the body goes on");
    Ok(taken)
}

fn with_fields(fields: &str, body: &str) -> Result<usize, Fault> {
    read(format!("POST /v1/x HTTP/1.1\r\nHost: t.local\r\n{fields}\r\n{body}").as_bytes())
}

fn with_chunks(body: &str) -> Result<usize, Fault> {
    with_fields("Transfer-Encoding: chunked\r\n", body)
}

#[test]
fn lengths() {
    for (fields, body, expected) in [
        ("", "", Ok(0)),
        ("Content-Length: 0\r\n", "GET", Ok(0)),
        ("Content-Length: 2\r\n", "hiGET", Ok(2)),
        ("Content-Length:\t2 \r\n", "hi", Ok(2)),
        ("cOnTeNt-LeNgTh: 2\r\n", "hi", Ok(2)),
        ("Content-Length: 2\r\nContent-Length: 2\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 2\r\nContent-Length: 44\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 2, 2\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 44, 44\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 2, 44\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: +2\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: -2\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 0002\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 0x2\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 2_0\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 1 0\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 2;\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: \r\n", "", Err(Fault::Length)),
        ("Content-Length: 2.0\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 1e3\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 9223372036854775808\r\n", "hi", Err(Fault::Length)),
        ("Content-Length: 18446744073709551618\r\n", "hi", Err(Fault::Length)),
        ("Content_Length: 2\r\n", "hi", Err(Fault::LookAlike)),
        ("Content-Length : 2\r\n", "hi", Err(Fault::Field)),
        ("Content-Length\r\n", "hi", Err(Fault::Field)),
        ("Content-Length: 2\u{b}\r\n", "hi", Err(Fault::Field)),
    ] {
        assert_eq!(with_fields(fields, body), expected, "{fields}");
    }
}

#[test]
fn codings() {
    for (fields, expected) in [
        ("Transfer-Encoding: chunked\r\n", Ok(5)),
        ("Transfer-Encoding: CHUNKED\r\n", Ok(5)),
        ("Transfer-Encoding:chunked\r\n", Ok(5)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 48\r\n", Err(Fault::TwoLengths)),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", Err(Fault::TwoLengths)),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", Err(Fault::TwoLengths)),
        ("Transfer-Encoding: xchunked\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", Err(Fault::TwoLengths)),
        ("Transfer-Encoding: chunked, identity\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: identity\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: chunked, chunked\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: chunked,\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: ,chunked\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(Fault::CodingNotServed)),
        ("Transfer-Encoding: gzip\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: chunked;p=1\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: \"chunked\"\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: chunk\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding:\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Err(Fault::Coding)),
        ("Transfer-Encoding:\u{b}chunked\r\n", Err(Fault::Field)),
        ("Transfer-Encoding: chunked\u{0}\r\n", Err(Fault::Field)),
        ("Transfer-Encoding:\r\n chunked\r\n", Err(Fault::Field)),
        ("Transfer_Encoding: chunked\r\n", Err(Fault::LookAlike)),
        ("transfer_encoding: chunked\r\n", Err(Fault::LookAlike)),
        ("\u{0}Transfer-Encoding: chunked\r\n", Err(Fault::Field)),
        ("Transfer-Encoding : chunked\r\n", Err(Fault::Field)),
        (" Transfer-Encoding: chunked\r\n", Err(Fault::Field)),
        ("X: y\rTransfer-Encoding: chunked\r\n", Err(Fault::LineEnd)),
        ("X: y\nTransfer-Encoding: chunked\r\n", Err(Fault::LineEnd)),
    ] {
        assert_eq!(with_fields(fields, "0\r\n\r\n"), expected, "{fields}");
    }
    let old = read(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(old, Err(Fault::Coding));
}

#[test]
fn chunks() {
    let long_extension = format!("2;a={}\r\nhi\r\n0\r\n\r\n", "b".repeat(64 << 10));
    let many_extensions = format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "e".repeat(200)).repeat(5000));
    let signed = format!("10000;chunk-signature={}\r\n{}\r\n", "a".repeat(64), "x".repeat(65536)).repeat(20);
    let many_trailers = format!("0\r\n{}\r\n", "X-A: b\r\n".repeat(2000));
    for (body, expected) in [
        ("0\r\n\r\n", Ok(())),
        ("00\r\n\r\n", Ok(())),
        ("2\r\nhi\r\n0\r\n\r\n", Ok(())),
        ("2\r\nhi\r\n0\r\n\r\nGET", Ok(())),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", Ok(())),
        ("2;a=b\r\nhi\r\n0\r\n\r\n", Ok(())),
        ("2;a=\"b;c\\\"d\"\r\nhi\r\n0\r\n\r\n", Ok(())),
        ("0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n", Ok(())),
        ("0x2\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("+2\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("-2\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("0_2\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("10000000000000002\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("FFFFFFFFFFFFFFFF\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("8000000000000000\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("000000000000000000002\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        (";\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        (" 2\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2 \r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2\rXhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2\r\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("g\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2;\nxx\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2;a\rb\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2;a=\"\r\nb\"\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2;a\u{0}b\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkSize)),
        ("2\r\nhi0\r\n\r\n", Err(Fault::ChunkEnd)),
        ("2\r\nhi\n0\r\n\r\n", Err(Fault::ChunkEnd)),
        ("2\r\nhi\rX0\r\n\r\n", Err(Fault::ChunkEnd)),
        ("1\r\nhi\r\n0\r\n\r\n", Err(Fault::ChunkEnd)),
        ("0\n\n", Err(Fault::ChunkSize)),
        ("0\r\n\n", Err(Fault::Trailer)),
        ("0\r\n\rX", Err(Fault::Trailer)),
        ("0\r\nbroken\r\n\r\n", Err(Fault::Trailer)),
        ("0\r\n X: y\r\n\r\n", Err(Fault::Trailer)),
        ("0\r\nX: y\n\r\n", Err(Fault::Trailer)),
        (&long_extension, Err(Fault::ChunkExtension)),
        (&many_extensions, Err(Fault::ChunkExtension)),
        (&format!("{signed}0\r\n\r\n"), Ok(())),
        (&many_trailers, Err(Fault::Trailer)),
    ] {
        assert_eq!(with_chunks(body).map(|_| ()), expected, "{}", &body[..body.len().min(60)]);
    }
}

#[test]
fn heads() {
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(17 << 10));
    let long_head = format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "a".repeat(64 << 10));
    let many_fields = format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", "X: y\r\n".repeat(100));
    let most_fields = format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", "X: y\r\n".repeat(99));
    for (head, expected) in [
        ("GET / HTTP/1.1\r\nHost: t\r\n\r\n", Ok(())),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", Ok(())),
        ("GET / HTTP/1.0\r\n\r\n", Ok(())),
        ("OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", Ok(())),
        ("CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n", Ok(())),
        ("GET /%7Bx%7D?a[]=b|c&d={e}^`\\ HTTP/1.1\r\nHost: t\r\n\r\n", Ok(())),
        ("GET /\u{fc} HTTP/1.1\r\nHost: t\r\nX: \u{fc}\r\n\r\n", Ok(())),
        (&most_fields, Ok(())),
        ("GET / HTTP/1.1\nHost: t\n\n", Err(Fault::LineEnd)),
        ("GET / HTTP/1.1\r\nHost: t\n\r\n", Err(Fault::LineEnd)),
        ("GET / HTTP/1.1\r\nHost: t\r\r\n\r\n", Err(Fault::LineEnd)),
        ("garbage\r\n\r\n", Err(Fault::RequestLine)),
        ("GET  / HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        ("GET\t/\tHTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        ("GET /a b HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        ("GET / HTTP/1.1 \r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        (" GET / HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        ("G(T / HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        ("GET /v1/x\r\n\r\n", Err(Fault::RequestLine)),
        ("GET / http/1.1\r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        ("GET / HTTP/11\r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        ("GET / HTTP/1.10\r\nHost: t\r\n\r\n", Err(Fault::RequestLine)),
        ("GET / HTTP/1.9\r\nHost: t\r\n\r\n", Err(Fault::Version)),
        ("GET / HTTP/2.0\r\nHost: t\r\n\r\n", Err(Fault::Version)),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err(Fault::Version)),
        ("GET /#a HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::Target)),
        ("GET /\"a HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::Target)),
        ("GET /\u{0} HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::Target)),
        ("GET /\u{7f} HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::Target)),
        ("GET v1/x HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::Target)),
        ("GET * HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::Target)),
        ("GET ftp://t/ HTTP/1.1\r\nHost: t\r\n\r\n", Err(Fault::Target)),
        (&long_target, Err(Fault::TargetTooLong)),
        (&long_head, Err(Fault::TooLarge)),
        (&many_fields, Err(Fault::TooLarge)),
        ("GET / HTTP/1.1\r\n Host: t\r\n\r\n", Err(Fault::Field)),
        ("GET / HTTP/1.1\r\nHost: t\r\n X: 1\r\n\r\n", Err(Fault::Field)),
        ("GET / HTTP/1.1\r\nHost: t\r\nX-A : 1\r\n\r\n", Err(Fault::Field)),
        ("GET / HTTP/1.1\r\nHost: t\r\n: 1\r\n\r\n", Err(Fault::Field)),
        ("GET / HTTP/1.1\r\nHost: t\r\nX(A): 1\r\n\r\n", Err(Fault::Field)),
        ("GET / HTTP/1.1\r\nHost: t\r\nX\u{ff}A: 1\r\n\r\n", Err(Fault::Field)),
        ("GET / HTTP/1.1\r\nHost: t\r\nX: \u{1}\r\n\r\n", Err(Fault::Field)),
        ("GET / HTTP/1.1\r\nHost: t\r\nbroken\r\n\r\n", Err(Fault::Field)),
    ] {
        assert_eq!(read(head.as_bytes()).map(|_| ()), expected, "{}", &head[..head.len().min(60)]);
    }
}

#[test]
fn hosts() {
    for (target, host, expected) in [
        ("/", "Host: t.local", Ok(())),
        ("/", "Host: t.local:8080", Ok(())),
        ("/", "Host: [::1]:80", Ok(())),
        ("/", "Host: my_service:80", Ok(())),
        ("http://t.local/x", "Host: t.local", Ok(())),
        ("http://T.local:80/x?y", "Host: t.local", Ok(())),
        ("HTTP://t.local", "Host: t.local:80", Ok(())),
        ("/", "X: y", Err(Fault::Host)),
        ("/", "Host:", Err(Fault::Host)),
        ("/", "Host: t\r\nHost: t", Err(Fault::Host)),
        ("/", "Host: t\r\nHost: u", Err(Fault::Host)),
        ("/", "Host: t, u", Err(Fault::Host)),
        ("/", "Host: localhost:4000/#@evil", Err(Fault::Host)),
        ("/", "Host: a@b", Err(Fault::Host)),
        ("/", "Host: t:x", Err(Fault::Host)),
        ("/", "Host: t:65536", Err(Fault::Host)),
        ("/", "Host: t:80:80", Err(Fault::Host)),
        ("/", "Host: [::1", Err(Fault::Host)),
        ("/", "Host: [t]", Err(Fault::Host)),
        ("/", "Host: t u", Err(Fault::Host)),
        ("http://evil.test/x", "Host: t.local", Err(Fault::Host)),
        ("http://t.local:81/x", "Host: t.local", Err(Fault::Host)),
        ("https://t.local/x", "Host: t.local:80", Err(Fault::Host)),
        ("http://a@t.local/x", "Host: t.local", Err(Fault::Host)),
        ("http:///x", "Host: t.local", Err(Fault::Host)),
        ("/", "Host: t\r\nConnection: close, Host", Err(Fault::Connection)),
        ("/", "Host: t\r\nConnection: Content-Length", Err(Fault::Connection)),
        ("/", "Host: t\r\nConnection: transfer-encoding", Err(Fault::Connection)),
        ("/", "Host: t\r\nConnection: \"close\"", Err(Fault::Connection)),
        ("/", "Host: t\r\nConnection: a,b,c,d,e,f,g,h,i,j", Err(Fault::Connection)),
        ("/", "Host: t\r\nConnection: close, X-Api-Key, Authorization", Ok(())),
        ("/", "Host: t\r\nHOST_: u", Ok(())),
        ("/", "Host: t\r\nX_Y: u", Ok(())),
        ("/", "Host: t\r\nKeep_Alive: u", Err(Fault::LookAlike)),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\n{host}\r\n\r\n");
        assert_eq!(read(head.as_bytes()).map(|_| ()), expected, "{head}");
    }
}

#[test]
fn absolute_form_loses_its_origin() {
    for (target, expected) in
        [("http://t/a?b", "/a?b"), ("http://t?b", "?b"), ("https://t:443/", "/"), ("http://t", "")]
    {
        let head = format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n");
        let (begin, end) = Head::read(head.as_bytes(), &LIMITS).expect(target).origin.expect("an origin");
        assert_eq!(
            format!("{}{}", &head[..begin], &head[end..]),
            format!("GET {expected} HTTP/1.1\r\nHost: t\r\n\r\n")
        );
    }
}

#[test]
fn a_head_in_pieces_is_refused_as_soon_as_it_is_wrong() {
    for (begin, expected) in [
        ("GET /v1/x\r\n", Err(Fault::RequestLine)),
        ("\x16\x03\x01", Err(Fault::RequestLine)),
        ("GET / HTTP/1.1\n", Err(Fault::LineEnd)),
        ("GET / HTTP/1.9\r\n", Err(Fault::Version)),
        ("GET / HTTP/1.1\r\nX: y\r\n", Ok(None)),
        ("GET", Ok(None)),
    ] {
        assert_eq!(Scan::default().find(begin.as_bytes(), &LIMITS), expected, "{begin:?}");
    }
    let endless = "a".repeat(100);
    assert_eq!(Scan::default().find(endless.as_bytes(), &LIMITS), Err(Fault::RequestLine));
    let endless = format!("GET /{}", "a".repeat(17 << 10));
    assert_eq!(Scan::default().find(endless.as_bytes(), &LIMITS), Err(Fault::TargetTooLong));
}

proptest! {
    /// However the bytes are cut, the verdict is the same.
    #[test]
    fn pieces_do_not_matter(body in "[0-9a-f;\r\n\"hi= ]{0,40}", cut in 0_usize..40) {
        let bytes = body.as_bytes();
        let mut whole = Chunks::default();
        let at_once = whole.take(bytes);
        let (one, two) = bytes.split_at(cut.min(bytes.len()));
        let mut parts = Chunks::default();
        let in_parts = parts.take(one).and_then(|first| Ok(first + if parts.is_done() { 0 } else { parts.take(two)? }));
        prop_assert_eq!(at_once.is_ok(), in_parts.is_ok());
        if let (Ok(one), Ok(two)) = (at_once, in_parts) {
            prop_assert_eq!(one, two);
            prop_assert_eq!(whole, parts);
        }
    }

    /// A head that grows byte by byte meets the verdict of the whole.
    #[test]
    fn a_growing_head_ends_where_the_whole_does(middle in "[ -~\r\n]{0,60}") {
        let head = format!("GET / HTTP/1.1\r\nHost: t\r\n{middle}\r\n\r\n");
        let whole = Scan::default().find(head.as_bytes(), &LIMITS);
        let mut scan = Scan::default();
        let mut grown = Ok(None);
        for end in 1..=head.len() {
            grown = scan.find(&head.as_bytes()[..end], &LIMITS);
            if !matches!(grown, Ok(None)) {
                break;
            }
        }
        prop_assert_eq!(whole, grown);
    }
}
