//! Reads the body: JSON, and nothing that only looks like it.
//!
//! The law is that of [`json`], which reads it: numbers keep their digits and objects their order, and what another reader
//! could take differently is refused: text that is not Unicode, a field that stands twice, more than 127 levels. A refusal
//! says where. More than [`Limits::REQUEST`] has nodes is refused as too large, before it is built.

use serde_json::{Map, Value};

use super::super::super::Refusal;
use super::super::super::json::{self, Fault, Limits};

/// Reads an object.
pub fn read(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match json::read(body, Limits::REQUEST) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Refusal::at("", "the body is not a JSON object")),
        Err(Fault::Nodes(most)) => {
            let message = format!(
                "the body holds more than {most} JSON values and names of fields, the most that is taken, however short they \
                 are: send less structure; a long text is one value"
            );
            Err(Refusal { status: 413, ..Refusal::at("", message) })
        }
        Err(fault) => Err(Refusal::at("", format!("the body is not valid JSON: {fault}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_stays_as_it_is() {
        for text in [
            "{}",
            r#"{"b":1,"a":2}"#,
            r#"{"n":[0,-0,1.0,1.50,1e+400,-2.5e-999999,12345678901234567890123]}"#,
            r#"{"s":["","é","😀","\n\u0000\""],"t":true,"f":false,"n":null}"#,
            r#"{"$serde_json::private::RawValue":"[1]"}"#,
        ] {
            let map = read(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
            assert_eq!(Value::Object(map).to_string(), text);
        }
        for (written, kept) in [("1e400", "1e+400"), ("1E5", "1e+5"), ("-1.0E+05", "-1.0e+05"), ("1E-7", "1e-7")] {
            let map = read(format!(r#"{{"n":{written}}}"#).as_bytes()).expect(written);
            assert_eq!(map.get("n").map(Value::to_string).as_deref(), Some(kept), "{written}");
        }
        let escaped = read(br#"{"s":"\ud83d\ude00"}"#).expect("a pair");
        assert_eq!(escaped.get("s"), Some(&Value::from("😀")));
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let deep =
            |levels: usize| [r#"{"a":"#.to_owned(), "[".repeat(levels), "]".repeat(levels), "}".to_owned()].concat();
        read(deep(126).as_bytes()).expect("127 levels in all");
        let (deep, deeper, deepest) = (deep(127), deep(128), "[".repeat(100_000));
        for (body, says) in [
            (&b""[..], "line 1 column 0"),
            (b"  ", "line 1 column 2"),
            (b"{", "line 1 column 1"),
            (b"{\n\"a\": }", "line 2 column 6"),
            (b"{} x", "line 1 column 4"),
            (b"{}{}", "line 1 column 3"),
            (b"{\"a\":\"\xff\"}", "octet 7 is not UTF-8"),
            (b"{\"a\":\"\xed\xa0\x80\"}", "octet 7 is not UTF-8"),
            (b"\xff\xfe{\0}\0", "octet 1 is not UTF-8"),
            (b"\xef\xbb\xbf{}", "line 1 column 1"),
            (b"{\0}\0", "line 1 column 2"),
            (br#"{"a":"\ud800"}"#, "line 1 column"),
            (br#"{"a":"\udc00"}"#, "line 1 column"),
            (br#"{"a":"\ud800\ud800"}"#, "line 1 column"),
            (br#"{"\ud800":1}"#, "line 1 column"),
            (b"{\"a\":\"\n\"}", "line 2 column 0"),
            (b"{\"a\":NaN}", "line 1 column 6"),
            (b"{\"a\":Infinity}", "line 1 column 6"),
            (b"{\"a\":01}", "line 1 column"),
            (b"{\"a\":+1}", "line 1 column 6"),
            (b"{\"a\":1.}", "line 1 column"),
            (b"{'a':1}", "line 1 column 2"),
            (b"{\"a\":1,}", "line 1 column 8"),
            (b"{\"a\":1,\"a\":1}", "`a` stands twice"),
            (b"{\"b\":[{\"a\":1,\"\\u0061\":2}]}", "`a` stands twice"),
            (br#"{"a":{"$serde_json::private::Number":"5"}}"#, "no field called"),
            (br#"{"a":{"$serde_json::private::Number":5}}"#, "no field called"),
            (br#"{"a":{"$serde_json::private::Number":["5"]}}"#, "no field called"),
            (br#"{"a":{"\u0024serde_json::private::Number":"5"}}"#, "no field called"),
            (br#"{"a":{"b":1,"$serde_json::private::Number":"5"}}"#, "no field called"),
            (deep.as_bytes(), "recursion limit"),
            (deeper.as_bytes(), "recursion limit"),
            (deepest.as_bytes(), "recursion limit"),
        ] {
            let shown = String::from_utf8_lossy(body.get(..60).unwrap_or(body)).into_owned();
            let refusal = read(body).expect_err(&shown);
            assert_eq!((refusal.status, &*refusal.place), (400, ""), "{shown}");
            assert!(refusal.message.contains(says), "{shown}: {}", refusal.message);
        }
        for body in ["[]", "null", "1", "\"{}\""] {
            assert_eq!(read(body.as_bytes()).expect_err(body).message, "the body is not a JSON object");
        }
    }

    #[test]
    fn too_many_values_are_refused_as_too_large() {
        let most = Limits::REQUEST.nodes;
        // The object, the name and the list are nodes themselves.
        let list = |count: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(count - 4));
        read(list(most).as_bytes()).expect("as many as are taken");
        let fields = (0..=most / 2).map(|index| format!("\"{index}\":0")).collect::<Vec<_>>().join(",");
        for body in [list(most + 1), format!("{{{fields}}}"), format!("{{\"a\":[{}", "{},".repeat(16 << 20))] {
            let refusal = read(body.as_bytes()).expect_err("too many");
            assert_eq!((refusal.status, &*refusal.place), (413, ""));
            assert!(refusal.message.contains("more than 524288 JSON values"), "{}", refusal.message);
        }
        let text = format!("{{\"a\":\"{}\"}}", "0,".repeat(8 << 20));
        read(text.as_bytes()).expect("a long text is one value");
    }
}
