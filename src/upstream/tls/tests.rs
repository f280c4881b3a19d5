//! What is parsed, what is refused, and which profiles may share connections.

use rcgen::{CertificateParams, KeyPair};

use super::*;

struct Pair {
    certificate: String,
    key: Secret,
}

fn pair(name: &str) -> Pair {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    Pair { certificate, key: Secret::new(key.serialize_pem()) }
}

fn identity(pair: &Pair) -> Identity {
    Identity::parse(pair.certificate.as_bytes(), &pair.key).expect("an identity")
}

#[test]
fn what_cannot_be_used_is_told_apart() {
    let (one, other) = (pair("one.test"), pair("other.test"));
    let cert = one.certificate.as_bytes();
    let fault = |chain: &[u8], key: &str| Identity::parse(chain, &Secret::new(key)).expect_err("a fault");
    assert_eq!(fault(cert, other.key.expose()), TlsError::Mismatch);
    assert_eq!(fault(cert, ""), TlsError::PrivateKey);
    assert_eq!(fault(cert, &one.certificate), TlsError::PrivateKey);
    assert_eq!(fault(cert, &one.key.expose().replace("PRIVATE", "ENCRYPTED PRIVATE")), TlsError::PrivateKey);
    assert_eq!(fault(cert, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), TlsError::PrivateKey);
    for chain in ["", "no PEM", one.key.expose(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert_eq!(fault(chain.as_bytes(), one.key.expose()), TlsError::Certificate, "{chain}");
        assert_eq!(Roots::parse(chain.as_bytes()).expect_err("a fault"), TlsError::Certificate, "{chain}");
    }
    // The client's own certificate comes first: with the chain turned round the key fits nothing.
    let turned = format!("{}{}", other.certificate, one.certificate);
    assert_eq!(fault(turned.as_bytes(), one.key.expose()), TlsError::Mismatch);
    let right = format!("{}{}", one.certificate, other.certificate);
    assert!(Identity::parse(right.as_bytes(), &one.key).is_ok());
    assert!(Roots::parse(right.as_bytes()).is_ok());
}

#[test]
fn names_are_names() {
    for text in ["up.test", "UP.test", "10.0.0.1", "::1", "a_b.test"] {
        assert_eq!(ServerName::parse(text).map(|name| name.as_str().to_owned()), Ok(text.to_ascii_lowercase()));
    }
    for text in ["", " ", "up.test:443", "https://up.test", "*.up.test", "up test", "-", "grün.test"] {
        assert_eq!(ServerName::parse(text), Err(TlsError::Name), "{text}");
    }
}

#[test]
fn profiles_that_differ_in_anything_share_no_group() {
    let (one, other) = (pair("one.test"), pair("other.test"));
    let roots = |pair: &Pair| Roots::parse(pair.certificate.as_bytes()).expect("roots");
    let name = |text: &str| ServerName::parse(text).expect("a name");
    // The same key under another certificate, and another certificate under the same authority.
    let key = KeyPair::from_pem(one.key.expose()).expect("a key");
    let again = CertificateParams::new(vec!["again.test".to_owned()]).expect("parameters").self_signed(&key);
    let again = Pair { certificate: again.expect("a certificate").pem(), key: one.key.clone() };
    let groups = || {
        [
            TlsProfile::new(None, None, None, true),
            TlsProfile::new(None, None, None, false),
            TlsProfile::new(Some(roots(&one)), None, None, true),
            TlsProfile::new(Some(roots(&other)), None, None, true),
            TlsProfile::new(None, Some(identity(&one)), None, true),
            TlsProfile::new(None, Some(identity(&other)), None, true),
            TlsProfile::new(None, Some(identity(&again)), None, true),
            TlsProfile::new(None, None, Some(name("a.test")), true),
            TlsProfile::new(None, None, Some(name("b.test")), true),
            TlsProfile::new(Some(roots(&one)), Some(identity(&one)), Some(name("a.test")), true),
        ]
        .map(|profile| profile.group())
    };
    let found = groups();
    for (index, group) in found.iter().enumerate() {
        assert_ne!(*group, 0);
        assert!(!found[..index].contains(group), "{index}: {found:?}");
    }
    assert_eq!(found, groups(), "an unchanged profile keeps its group");
}
