//! The strict reading of HTTP/1: what it takes has one meaning, and the same length for a reader that shares no code with it.

use tollgate::framing::{Body, Head, Limits, Scan};

const LIMITS: Limits = Limits { bytes: 64 << 10, fields: 100, target: 16 << 10 };

/// The input is what a client sends: a head, and what follows it.
pub fn check(input: &[u8]) {
    let input = &input[Scan::default().skip(input)..];
    let whole = Scan::default().find(input, &LIMITS);
    let Ok(Some(end)) = whole else { return };
    let (head, rest) = input.split_at(end);
    let Ok(read) = Head::read(head, &LIMITS) else { return };
    grows(head);
    let lines = lines(head);
    let named =
        |wanted: &str| lines.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect();
    let (lengths, codings, hosts): (Vec<&str>, Vec<&str>, Vec<&str>) =
        (named("content-length"), named("transfer-encoding"), named("host"));
    assert!(hosts.len() <= 1 && lengths.len() + codings.len() <= 1, "{lines:?}");
    assert!(codings.iter().all(|coding| coding.eq_ignore_ascii_case("chunked")), "{codings:?}");
    let mut body = read.body.clone();
    let taken = body.take(rest);
    in_pieces(read.body, rest, taken.ok(), body.is_done());
    if let (Ok(taken), true) = (taken, body.is_done()) {
        let length = match (lengths.first(), codings.first()) {
            (Some(length), _) => length.parse().expect("a number"),
            (None, Some(_)) => chunked(rest),
            (None, None) => 0,
        };
        assert_eq!(taken, length, "another reader sees another length");
    }
}

/// However a head comes that is taken, its end is where it is when it comes at once.
fn grows(head: &[u8]) {
    if head.len() > 2000 {
        return;
    }
    let mut scan = Scan::default();
    let found = (1..=head.len()).find_map(|length| scan.find(&head[..length], &LIMITS).expect("no fault on the way"));
    assert_eq!(found, Some(head.len()));
}

fn in_pieces(mut body: Body, rest: &[u8], taken: Option<usize>, done: bool) {
    let mut sum = 0;
    for byte in rest.chunks(1) {
        match body.take(byte) {
            Ok(count) => sum += count,
            Err(_) => return assert_eq!(taken, None),
        }
    }
    assert_eq!((Some(sum), body.is_done()), (taken, done));
}

/// Names in lower case and values, by lines that end in CR LF; every other line end or control fails.
fn lines(head: &[u8]) -> Vec<(String, String)> {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let text = text.strip_suffix("\r\n\r\n").expect("an end");
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(lines.iter().all(|line| !line.is_empty() && !line.chars().any(|c| c.is_ascii_control() && c != '\t')));
    let (first, fields) = lines.split_first().expect("a first line");
    assert_eq!(first.split(' ').count(), 3, "{first}");
    let pair = |line: &&str| {
        let (name, value) = line.split_once(':').expect("a colon");
        assert!(!name.is_empty() && !name.contains([' ', '\t']));
        (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
    };
    fields.iter().map(pair).collect()
}

/// The length of a chunked body, read as RFC 9112 section 7.1 has it.
fn chunked(bytes: &[u8]) -> usize {
    let line_end = |from: usize| from + bytes[from..].windows(2).position(|two| two == b"\r\n").expect("a line end");
    let mut at = 0;
    loop {
        let end = line_end(at);
        let line = std::str::from_utf8(&bytes[at..end]).unwrap_or_default();
        let digits = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(digits, 16).unwrap_or_else(|_| {
            // An extension that is no UTF-8 leaves the digits before it.
            let digits: String =
                bytes[at..end].iter().take_while(|byte| **byte != b';').map(|byte| char::from(*byte)).collect();
            usize::from_str_radix(&digits, 16).expect("a size")
        });
        at = end + 2;
        if size == 0 {
            loop {
                let end = line_end(at);
                let empty = end == at;
                at = end + 2;
                if empty {
                    return at;
                }
            }
        }
        at += size;
        assert_eq!(&bytes[at..at + 2], b"\r\n");
        at += 2;
    }
}
