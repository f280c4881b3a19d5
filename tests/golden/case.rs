//! The files of a folder below `tests/golden`, one case each. Nothing writes them but people.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tollgate::translate::Call;

/// The call that every case is.
pub const CALL: Call<'static> = Call {
    id: "00000000-0000-4000-8000-000000000000",
    method: "POST",
    path: "/v1/messages",
    captures: &[],
    query: None,
    headers: &[],
};

/// Every case of `folder`, by its name.
pub fn cases(folder: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut out = Vec::new();
    for entry in fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("text");
        let case: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(case["source"].as_str().is_some_and(|source| source.len() > 10), "{name} says where it is from");
        out.push((name, case));
    }
    out.sort_by(|left, right| left.0.cmp(&right.0));
    assert!(out.len() > 5, "only {} cases in {}", out.len(), folder.display());
    out
}

/// Fails with every case that `judge` finds fault with.
pub fn all(folder: &str, judge: impl Fn(&Value) -> Result<(), String>) {
    let faults: Vec<String> = cases(folder)
        .into_iter()
        .filter_map(|(name, case)| judge(&case).err().map(|fault| format!("{folder}/{name}: {fault}")))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// `got` is `expected`, or both are told.
pub fn same(got: &Value, expected: &Value) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("got\n{got}\nexpected\n{expected}")) }
}
