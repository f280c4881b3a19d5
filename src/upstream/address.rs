//! Addresses that hand out a machine's own credentials.
//!
//! The law: link-local addresses, and the two metadata services that live elsewhere, are dialled only where the file allows
//! it. Private and loopback addresses are fine: an operator wrote them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Alibaba Cloud's metadata service.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// Amazon's metadata service over IPv6.
const AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether `ip` is a metadata address, also in its mapped IPv6 form.
pub fn is_metadata(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip == ALIBABA,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == AMAZON,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_in_every_form() {
        for (text, expected) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("100.100.100.200", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("::1", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(is_metadata(text.parse().expect(text)), expected, "{text}");
        }
    }
}
