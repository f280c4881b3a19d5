//! TLS with clients (RFC 8446), for listeners that have a certificate.
//!
//! The law: TLS 1.2 or newer, HTTP/2 and HTTP/1.1 by ALPN, and a client certificate where an authority for them is named. The
//! files are read again when they change; what cannot be used leaves the last good certificate in place and is said in the
//! log. A handshake never waits for a file.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::error::Report;
use crate::config::listen::{Listen, Tls};
use crate::downstream::Socket;

/// Why a certificate cannot be used, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFault {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.file.display(), self.what)
    }
}

/// A certificate in use.
pub struct Certificate {
    files: Tls,
    config: ArcSwap<ServerConfig>,
    read_at: parking_lot::Mutex<Vec<Option<SystemTime>>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads `files`.
    pub fn load(files: Tls) -> Result<Self, TlsFault> {
        let read_at = changed_at(&files);
        let config = read(&files)?;
        Ok(Self { files, config: ArcSwap::new(config), read_at: parking_lot::Mutex::new(read_at) })
    }

    /// Reads them again if they have changed. Blocking.
    pub fn refresh(&self) {
        let changed_at = changed_at(&self.files);
        let mut read_at = self.read_at.lock();
        if *read_at == changed_at {
            return;
        }
        *read_at = changed_at;
        match read(&self.files) {
            Ok(config) => {
                self.config.store(config);
                log::info!("the certificate in `{}` has changed and is in use", self.files.cert.display());
            }
            Err(fault) => log::error!("the last good certificate stays in use: {fault}"),
        }
    }

    /// Shakes hands with a client.
    pub(super) async fn accept(&self, socket: Box<Socket>) -> std::io::Result<TlsStream<Box<Socket>>> {
        TlsAcceptor::from(self.config.load_full()).accept(socket).await
    }
}

fn changed_at(files: &Tls) -> Vec<Option<SystemTime>> {
    let all = [&files.cert, &files.key].into_iter().chain(&files.client_ca);
    all.map(|path| std::fs::metadata(path).and_then(|data| data.modified()).ok()).collect()
}

fn read(files: &Tls) -> Result<Arc<ServerConfig>, TlsFault> {
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| fault(&files.key, "has no key", &error))?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| fault(&files.cert, "cannot be used", &error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| fault(path, "holds no authority", &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .build()
                .map_err(|error| fault(path, "cannot be used", &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| fault(&files.cert, "cannot be used with its key", &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| fault(path, "cannot be read", &error))?.collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(TlsFault { file: path.clone(), what: "holds no certificate in PEM".into() })
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(fault(path, "is no PEM", &error)),
    }
}

/// Reports the certificates of `listen` that cannot be used.
pub fn check(listen: &[Listen], report: &mut Report) {
    let mut seen: Vec<&Tls> = Vec::new();
    for files in listen.iter().filter_map(|listen| listen.tls.as_ref()) {
        if !seen.contains(&files)
            && let Err(fault) = read(files)
        {
            report.problem(&files.site, fault.to_string(), "name a PEM file that can be used");
        }
        seen.push(files);
    }
}

/// What rustls says of keys and certificates holds nothing of them.
fn fault(path: &std::path::Path, what: &str, error: &dyn fmt::Display) -> TlsFault {
    TlsFault { file: path.to_owned(), what: format!("{what}: {error}") }
}
