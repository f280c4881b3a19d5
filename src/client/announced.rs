//! The PROXY protocol, versions 1 and 2 (HAProxy, `doc/proxy-protocol.txt`).
//!
//! The law: the announcement stands before the first byte of the connection, whole, or the connection is refused; a `LOCAL` or
//! `UNKNOWN` one says that the proxy speaks for itself. Checksums and TLVs are skipped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line of version 1, line end included.
const LONGEST_LINE: usize = 107;
/// What version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The most that may follow its first sixteen octets.
const MOST_REST: usize = 4096;

/// What a proxy has announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The client; none when the proxy speaks for itself.
    pub client: Option<SocketAddr>,
    /// How many bytes the announcement took.
    pub length: usize,
}

/// It is no announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnouncedFault;

/// Reads an announcement. None: more must come.
pub fn read(bytes: &[u8]) -> Result<Option<Announced>, AnnouncedFault> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(one, other)| one == other);
    if begins(SIGNATURE) {
        return if bytes.len() < SIGNATURE.len() { Ok(None) } else { version_2(bytes) };
    }
    if begins(b"PROXY ") {
        return version_1(bytes);
    }
    Err(AnnouncedFault)
}

fn version_1(bytes: &[u8]) -> Result<Option<Announced>, AnnouncedFault> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n") else {
        return if bytes.len() >= LONGEST_LINE { Err(AnnouncedFault) } else { Ok(None) };
    };
    let length = end + 2;
    let line = bytes.get(..end).and_then(|line| std::str::from_utf8(line).ok()).ok_or(AnnouncedFault)?;
    if length > LONGEST_LINE {
        return Err(AnnouncedFault);
    }
    let words: Vec<&str> = line.split(' ').collect();
    let client = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, port, to] => {
            let (source, destination): (IpAddr, IpAddr) = (parse(source)?, parse(destination)?);
            let fits = |address: IpAddr| address.is_ipv4() == (*family == "TCP4");
            let _: u16 = number(to)?;
            if !fits(source) || !fits(destination) {
                return Err(AnnouncedFault);
            }
            Some(SocketAddr::new(source, number(port)?))
        }
        _ => return Err(AnnouncedFault),
    };
    Ok(Some(Announced { client, length }))
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, AnnouncedFault> {
    text.parse().map_err(|_| AnnouncedFault)
}

fn number(text: &str) -> Result<u16, AnnouncedFault> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { parse(text) } else { Err(AnnouncedFault) }
}

fn version_2(bytes: &[u8]) -> Result<Option<Announced>, AnnouncedFault> {
    let Some(&[command, family, high, low]) = bytes.get(12..16) else { return Ok(None) };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || rest > MOST_REST {
        return Err(AnnouncedFault);
    }
    let length = 16 + rest;
    let Some(addresses) = bytes.get(16..length) else { return Ok(None) };
    let client = match (command & 0xf, family) {
        (0, _) => None,
        (1, 0x11) => Some(four(addresses)?),
        (1, 0x21) => Some(six(addresses)?),
        // A datagram, a Unix socket, or nothing that is known: no address to speak of.
        (1, _) => None,
        _ => return Err(AnnouncedFault),
    };
    Ok(Some(Announced { client, length }))
}

fn four(addresses: &[u8]) -> Result<SocketAddr, AnnouncedFault> {
    let [a, b, c, d, _, _, _, _, high, low, _, _, ..] = *addresses else { return Err(AnnouncedFault) };
    Ok(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
}

fn six(addresses: &[u8]) -> Result<SocketAddr, AnnouncedFault> {
    let source: [u8; 16] = addresses.get(..16).and_then(|octets| octets.try_into().ok()).ok_or(AnnouncedFault)?;
    let Some(&[high, low, _, _]) = addresses.get(32..36) else { return Err(AnnouncedFault) };
    Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(source)).to_canonical(), u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).expect("length").to_be_bytes();
        [SIGNATURE, &[command, family], &length, addresses].concat()
    }

    #[test]
    fn announcements() {
        let six: Vec<u8> =
            [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 16], &[0x12, 0x34, 0, 80], &[9; 7]].concat();
        for (bytes, expected) in [
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 4711 80\r\n".to_vec(), Some("1.2.3.4:4711")),
            (b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\n".to_vec(), Some("[2001:db8::1]:4711")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff:f ffff:f 65535 65535\r\n".to_vec(), None),
            (second(0x21, 0x11, &[1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0x67, 0, 80]), Some("1.2.3.4:4711")),
            (second(0x21, 0x21, &six), Some("[2001:db8::1]:4660")),
            (second(0x20, 0x00, &[]), None),
            (second(0x21, 0x31, &[0; 216]), None),
        ] {
            let read_back = read(&[&bytes[..], b"GET"].concat()).expect("read").expect("whole");
            assert_eq!(read_back.client.map(|client| client.to_string()).as_deref(), expected);
            assert_eq!(read_back.length, bytes.len());
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut]), Ok(None), "{cut} of {bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_none() {
        for bytes in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(),
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n".to_vec(),
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n".to_vec(),
            b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP6 1.2.3.4 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n".to_vec(),
            b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n".to_vec(),
            b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(),
            [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(),
            second(0x11, 0x11, &[0; 12]),
            second(0x22, 0x11, &[0; 12]),
            second(0x21, 0x11, &[0; 11]),
            second(0x21, 0x21, &[0; 35]),
            [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(),
        ] {
            let read_back = read(&bytes);
            let short = bytes.starts_with(SIGNATURE) && read_back == Ok(None);
            assert!(read_back == Err(AnnouncedFault) && !short, "{bytes:?} {read_back:?}");
        }
    }
}
