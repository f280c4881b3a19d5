//! Certificates of a test's own, and a client that speaks TLS.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::PATIENCE;

/// An authority, and what it signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// Its certificate.
    pub pem: String,
}

/// A certificate with its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("certificate");
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { issuer: Issuer::new(params, key), certificate: der, pem }
    }

    /// A certificate for `name`.
    pub fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        let certificate = params.signed_by(&key, &self.issuer).expect("leaf");
        Identity { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    /// A client's side, which trusts this authority.
    pub fn client(&self, identity: Option<&Identity>, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("root");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(
                    vec![identity.certificate.clone()],
                    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der())),
                )
                .expect("identity"),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Identity {
    /// Writes `cert.pem` and `key.pem`, each at once, as tools that renew certificates do.
    pub fn write(&self, folder: &Path) {
        for (name, text) in [("key.pem", self.key.serialize_pem()), ("cert.pem", self.pem.clone())] {
            fs::write(folder.join("new"), text).expect("write");
            fs::rename(folder.join("new"), folder.join(name)).expect("rename");
        }
    }

    /// The certificate, as it is shown.
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }
}

/// Connects to `port` with TLS.
pub fn connect(port: u16, config: Arc<ClientConfig>) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("gate.test").expect("name");
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).map_err(io::Error::other)?, socket);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

/// One request whose answer ends the connection: everything that came back.
pub fn ask(port: u16, config: Arc<ClientConfig>, request: &str) -> io::Result<String> {
    let mut stream = connect(port, config)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
