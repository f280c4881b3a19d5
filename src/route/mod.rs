//! Which route serves a path: one canonical form, decided once, used by matching, auth, limits, forwarding and logs.
//!
//! `path` reads what the client wrote, `pattern` what the file says, `table` brings the two together, `root` takes off a
//! prefix of the whole proxy. The law: exact beats
//! template beats prefix, a longer prefix beats a shorter one, and the order of the file never matters.
//! Pure: no I/O, and it does not know what a route leads to.

mod methods;
mod path;
mod pattern;
mod reserved;
mod root;
mod table;

pub use methods::{MethodError, Methods};
pub use path::{PathError, RequestPath, decoded};
pub use pattern::{Pattern, PatternError};
pub use reserved::is_reserved;
pub use root::Root;
pub use table::{Conflict, Found, Match, Near, Table, WhyNot};
