//! The certificate that TLS listeners show in a bench.
//!
//! Law: all servers of a run show the same one, an ECDSA key on P-256, made anew for the run and gone with it.
//!
//! Not here, on purpose: chains, other kinds of key, clients that verify. The load generators verify nothing.

use std::path::PathBuf;

use super::process::Scratch;

/// Two PEM files.
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    pub(crate) fn new(scratch: &Scratch) -> Result<Certificate, String> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
        let made = made.map_err(|e| format!("no certificate: {e}"))?;
        Ok(Certificate {
            chain: scratch.write("cert.pem", &made.cert.pem())?,
            key: scratch.write("key.pem", &made.signing_key.serialize_pem())?,
        })
    }
}
