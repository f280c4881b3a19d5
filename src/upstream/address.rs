//! How far a target may lead: addresses of the internet, of the operator's own networks, of a machine's metadata.
//!
//! The law: link-local addresses, and the two metadata services that live elsewhere, are dialled only where the file allows
//! it. Private and loopback addresses are fine where an operator wrote them, and refused where the API was told them. What an address
//! is inside of another counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Alibaba Cloud's metadata service.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// Amazon's metadata service over IPv6.
const AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Kinds of addresses. Who may reach one kind may reach those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The internet.
    Public,
    /// This machine, and networks that the internet does not lead to (RFC 6890).
    Private,
    /// What hands out this machine's own credentials.
    Metadata,
}

/// What kind of address `ip` is.
pub fn reach(ip: IpAddr) -> Reach {
    match ip.to_canonical() {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => match inside(ip) {
            Some(inner) => reach_v4(inner),
            None if ip.is_unicast_link_local() || ip == AMAZON => Reach::Metadata,
            None if is_private_v6(ip) => Reach::Private,
            None => Reach::Public,
        },
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127, ..) | (192, 168, _) | (192, 0, 0) => true,
        (100, b, _) => (64..128).contains(&b),
        (172, b, _) => (16..32).contains(&b),
        (198, 18 | 19, _) => true,
        (a, ..) => a >= 224,
    };
    if ip.is_link_local() || ip == ALIBABA {
        Reach::Metadata
    } else if special {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let first = ip.segments()[0];
    // Site-local addresses are deprecated, and routed all the same where they are in use (RFC 3879).
    ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_multicast() || first & 0xffc0 == 0xfec0
}

/// The IPv4 address that a gateway makes of `ip`: NAT64 (RFC 6052), 6to4 (RFC 3056), and the old compatible form.
fn inside(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = ip.octets();
    let at = |begin: usize| octets.get(begin..begin + 4)?.try_into().ok().map(|four: [u8; 4]| Ipv4Addr::from(four));
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => at(12),
        [0x64, 0xff9b, 1, ..] => at(12),
        [0x2002, ..] => at(2),
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 || low > 1 => at(12),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_form() {
        for (text, expected) in [
            ("169.254.169.254", Reach::Metadata),
            ("::ffff:169.254.169.254", Reach::Metadata),
            ("64:ff9b::a9fe:a9fe", Reach::Metadata),
            ("fe80::1", Reach::Metadata),
            ("fd00:ec2::254", Reach::Metadata),
            ("100.100.100.200", Reach::Metadata),
            ("127.0.0.1", Reach::Private),
            ("10.0.0.1", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("0.0.0.0", Reach::Private),
            ("198.19.0.1", Reach::Private),
            ("224.0.0.1", Reach::Private),
            ("255.255.255.255", Reach::Private),
            ("::1", Reach::Private),
            ("::", Reach::Private),
            ("fc00::1", Reach::Private),
            ("fec0::1", Reach::Private),
            ("ff02::1", Reach::Private),
            ("::127.0.0.1", Reach::Private),
            ("::ffff:10.0.0.1", Reach::Private),
            ("64:ff9b::7f00:1", Reach::Private),
            ("2002:7f00:1::", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("100.128.0.1", Reach::Public),
            ("8.8.8.8", Reach::Public),
            ("2606:4700::1", Reach::Public),
            ("64:ff9b::808:808", Reach::Public),
        ] {
            assert_eq!(reach(text.parse().expect(text)), expected, "{text}");
        }
    }
}
