//! Places, numbers as written, and files that are refused.

use super::*;

fn read(text: &str) -> Result<Node, SyntaxError> {
    parse(&Arc::from("t.yaml"), text.as_bytes())
}

fn at<'a>(node: &'a Node, key: &str) -> &'a Entry {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == key).expect("key"),
        _ => panic!("not a mapping"),
    }
}

#[test]
fn numbers_keep_their_text_and_lines_are_known() {
    let root = read("a: 1\nb:\n  version: 1.10\n  big: 12345678901234567890\n").expect("parses");
    let b = at(&root, "b");
    assert_eq!(b.place.line, 2);
    let version = at(&b.node, "version");
    assert_eq!(version.place.line, 3);
    assert!(matches!(&version.node.value, Value::Number(text) if text == "1.10"));
    assert!(matches!(&at(&b.node, "big").node.value, Value::Number(text) if text == "12345678901234567890"));
}

#[test]
fn merge_keys_bring_values_and_lines() {
    let root = read("base: &b\n  x: 1.50\nuse:\n  <<: *b\n  y: two\n").expect("parses");
    let used = &at(&root, "use").node;
    assert!(matches!(&at(used, "x").node.value, Value::Number(text) if text == "1.50"));
    assert_eq!(at(used, "x").place.line, 2);
}

#[test]
fn words_that_yaml_1_1_took_for_booleans_are_text() {
    let root = read("a: yes\nb: true\nc: \"true\"\n").expect("parses");
    assert!(matches!(&at(&root, "a").node.value, Value::Text(_)));
    assert!(matches!(&at(&root, "b").node.value, Value::Bool(true)));
    assert!(matches!(&at(&root, "c").node.value, Value::Text(_)));
}

#[test]
fn bombs_and_nonsense_are_refused() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (one, two) in ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"].iter().map(|pair| pair.split_at(1)) {
        bomb += &format!("{two}: &{two} [*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one}]\n");
    }
    assert!(read(&bomb).is_err());
    assert!(read(&"- x\n".repeat(MAX_NODES + 1)).is_err());
    for deep in ["[", "- ", ": ", "{a: "] {
        assert!(read(&deep.repeat(100_000)).is_err(), "{deep}");
    }
    for text in ["a: 1\na: 2\n", "a:\n\t- b\n", "a: [1\n", "a: \0\n", "a: !!python/object:os.system x\n"] {
        assert!(read(text).is_err(), "{text:?}");
    }
    assert_eq!(read("ok: 1\nbad: [1\n").err().map(|error| error.line > 0), Some(true));
}
