//! A client's connection: its bytes, its clocks, and the stream that Pingora is lent for one request.
//!
//! The law: the connection belongs to the edge; whoever serves a request holds a [`Lease`], which gives out the bytes of that
//! request and no others, and always comes back, whatever ends the request.
//!
//! `socket` is the transport, plain or TLS; `connection` what has been read of it; `lease` what Pingora sees of HTTP/1 and
//! `frames`, with its `cutter`, what it sees of HTTP/2; `silence` and `pace` are the clocks, `vitals` what edge and request share
//! over HTTP/1, of which a `fate` is what they share over HTTP/2 too. Nothing here decides what becomes of a request.

mod connection;
mod cutter;
mod fate;
mod frames;
mod lease;
mod pace;
mod silence;
mod socket;
mod vitals;

pub use connection::{Connection, Slot};
pub use fate::Fate;
pub use frames::Frames;
pub use lease::Lease;
pub use pace::{Pace, Rate};
pub use silence::Silence;
pub use socket::{Socket, Transport};
pub use vitals::Vitals;
