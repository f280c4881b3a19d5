//! An object that is written.
//!
//! The law: what is put in is moved, not copied as `json!` does it, for it may be a picture of many megabytes; and it has room
//! for its fields and no more, since a request may hold a hundred thousand of them.

use serde_json::{Map, Value};

/// An object of `fields`, in their order.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let mut map = Map::with_capacity(N);
    map.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(map)
}
