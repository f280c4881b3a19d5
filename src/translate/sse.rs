//! Server-sent events: bytes become events and events bytes (WHATWG HTML, section 9.2 "Server-sent events").
