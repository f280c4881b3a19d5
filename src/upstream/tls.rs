//! What an upstream is shown and must show, where a route says so: a client certificate, an authority, a name.
//!
//! The law: everything is parsed at load and handed over ready, so that no connection can fail, or panic, over a file; two
//! profiles that differ in anything have different [`group`](TlsProfile::group)s, and connections are shared within a group
//! alone. A private key is zeroed where it passes through here; the copies that Pingora and rustls hold while it is in use
//! are not.
//!
//! It reads no file and dials nobody. It is the one file below the proxy that names Pingora, and only for the types in which
//! certificates are handed over.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// How one upstream is spoken to.
#[derive(Debug)]
pub struct TlsProfile {
    /// Whom to trust, in place of everybody else.
    pub roots: Option<Roots>,
    /// What is shown when the upstream asks.
    pub identity: Option<Identity>,
    /// The name asked for and verified, in place of the target's host.
    pub name: Option<ServerName>,
    /// Whether the upstream must prove who it is.
    pub verify: bool,
    group: u64,
}

/// Certificates that are trusted.
#[derive(Clone, Debug)]
pub struct Roots(Arc<[WrappedX509]>);

/// A client certificate with its chain and key.
#[derive(Clone, Debug)]
pub struct Identity(Arc<CertKey>);

/// A name that a server can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerName(String);

/// Why a file or a name cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsError {
    /// No PEM certificate, or one that is broken.
    Certificate,
    /// The key of another certificate.
    Mismatch,
    /// Not a name.
    Name,
    /// No PEM key, or one that is broken or locked by a password.
    PrivateKey,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "the file holds no usable PEM certificate, or one that is broken",
            Self::Mismatch => "the key does not belong to the certificate in `cert`",
            Self::Name => "this is not a name that a server can be asked for",
            Self::PrivateKey => {
                "the file holds no usable PEM key: it is another kind of file, broken, or under a password"
            }
        })
    }
}

impl TlsError {
    /// What the operator should do.
    pub fn mend(self) -> &'static str {
        match self {
            Self::Certificate => "name a file with CERTIFICATE blocks",
            Self::Mismatch => {
                "name the key that the certificate was made for; the client's own certificate comes first"
            }
            Self::Name => "write the host name in the upstream's certificate; verify: false is what trusts everybody",
            Self::PrivateKey => "name a file with one PRIVATE KEY block that is not encrypted",
        }
    }
}

impl Roots {
    /// Parses PEM certificates; each must be one that can be trusted.
    pub fn parse(pem: &[u8]) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        let found = certificates(pem)?;
        for certificate in &found {
            store.add(certificate.clone()).map_err(|_| TlsError::Certificate)?;
        }
        Ok(Self(found.into_iter().map(|certificate| WrappedX509::new(certificate.to_vec(), parse_x509)).collect()))
    }

    /// In the type that Pingora takes.
    pub fn shared(&self) -> Arc<[WrappedX509]> {
        Arc::clone(&self.0)
    }
}

impl Identity {
    /// Parses a PEM chain, the client's own certificate first, and the key of that one.
    pub fn parse(chain: &[u8], key: &Secret) -> Result<Self, TlsError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| TlsError::PrivateKey)?;
        let bytes = Zeroizing::new(key.secret_der().to_vec());
        // For a connection the kind of the key is guessed from its bytes alone: the same is tried here.
        let guessed = PrivateKeyDer::try_from(bytes.as_slice()).map_err(|_| TlsError::PrivateKey)?;
        let signer = any_supported_type(&guessed).map_err(|_| TlsError::PrivateKey)?;
        CertifiedKey::new(chain.clone(), signer).keys_match().map_err(|_| TlsError::Mismatch)?;
        let chain = chain.into_iter().map(|certificate| certificate.to_vec()).collect();
        Ok(Self(Arc::new(CertKey::new(chain, bytes.to_vec()))))
    }

    /// In the type that Pingora takes.
    pub fn shared(&self) -> Arc<CertKey> {
        Arc::clone(&self.0)
    }
}

impl ServerName {
    /// Parses a host name or an address.
    pub fn parse(text: &str) -> Result<Self, TlsError> {
        let name = text.to_ascii_lowercase();
        match rustls::pki_types::ServerName::try_from(name.as_str()) {
            Ok(_) => Ok(Self(name)),
            Err(_) => Err(TlsError::Name),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TlsProfile {
    /// A profile of these parts.
    pub fn new(roots: Option<Roots>, identity: Option<Identity>, name: Option<ServerName>, verify: bool) -> Self {
        // With fixed keys: an unchanged profile keeps its connections, whoever computes it.
        let mut hasher = DefaultHasher::new();
        (verify, &name, roots.is_some(), identity.is_some()).hash(&mut hasher);
        for root in roots.iter().flat_map(|roots| roots.0.iter()) {
            root.borrow_raw_cert().hash(&mut hasher);
        }
        if let Some(Identity(identity)) = &identity {
            identity.key().hash(&mut hasher);
            for certificate in std::iter::once(identity.leaf()).chain(identity.intermediates()) {
                certificate.borrow_raw_cert().hash(&mut hasher);
            }
        }
        Self { roots, identity, name, verify, group: hasher.finish().max(1) }
    }

    /// A number that differs wherever anything of the profile does; never 0, the group of routes without a profile.
    pub fn group(&self) -> u64 {
        self.group
    }
}

/// Every certificate of a PEM file, each one that both rustls and Pingora can read: Pingora panics on others.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| TlsError::Certificate)?;
    if found.is_empty() || !found.iter().all(|certificate| X509Certificate::from_der(certificate).is_ok()) {
        return Err(TlsError::Certificate);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
