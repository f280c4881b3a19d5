//! Whom upstream certificates are verified against: the system's roots, and `tollgate.ca_file` beside them.
//!
//! The law: a root that does not parse is left out with a warning and stops nothing; verification is never off.
//!
//! Pingora's connector takes its roots from one file by name and panics on a bad one; so the roots are checked here and
//! handed over in a file in memory, which needs no place on a disk that may be read-only.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::RawFd;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::memfd::{MemFdCreateFlag, memfd_create};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::error::{Report, Site};

/// The roots, in a file in memory that lives as long as this value.
#[derive(Debug)]
pub struct Trust(RawFd);

impl Trust {
    /// Gathers the roots. `extra`: the bytes of `tollgate.ca_file`.
    pub fn gather(extra: Option<&[u8]>) -> io::Result<Self> {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            log::warn!("some of the system's certificates cannot be read: {error}");
        }
        let extra = extra.map(|pem| certificates(pem).unwrap_or_default()).unwrap_or_default();
        let mut store = RootCertStore::empty();
        let trust = Self(memfd_create(c"trusted certificates", MemFdCreateFlag::MFD_CLOEXEC)?);
        let mut file = File::create(trust.path())?;
        let mut count = 0;
        for certificate in system.certs.into_iter().chain(extra) {
            match store.add(certificate.clone()) {
                Ok(()) => {
                    write_pem(&mut file, &certificate)?;
                    count += 1;
                }
                Err(error) => log::warn!("a trusted certificate is left out: {error}"),
            }
        }
        if count == 0 {
            log::warn!(
                "no trusted certificate was found: no https upstream will be reachable (install ca-certificates)"
            );
        }
        file.flush()?;
        Ok(trust)
    }

    /// The name under which this process can open the file.
    pub fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0)
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        let _ = nix::unistd::close(self.0);
    }
}

/// Whether the bytes of `ca_file` hold certificates; a problem where they do not.
pub fn check(ca_file: Option<&(Vec<u8>, Site)>, report: &mut Report) {
    let Some((pem, site)) = ca_file else { return };
    let mut store = RootCertStore::empty();
    let usable = certificates(pem)
        .is_some_and(|found| !found.is_empty() && found.into_iter().all(|certificate| store.add(certificate).is_ok()));
    if !usable {
        report.problem(
            site,
            "the file holds no usable PEM certificate, or one that is broken",
            "name a file with CERTIFICATE blocks",
        );
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()
}

fn write_pem(file: &mut File, certificate: &CertificateDer<'_>) -> io::Result<()> {
    writeln!(file, "-----BEGIN CERTIFICATE-----")?;
    for line in STANDARD.encode(certificate).as_bytes().chunks(64) {
        file.write_all(line)?;
        file.write_all(b"\n")?;
    }
    writeln!(file, "-----END CERTIFICATE-----")
}
