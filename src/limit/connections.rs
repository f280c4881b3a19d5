//! How many connections are held, in all and from one address.
//!
//! The law: a seat is a guard that is dropped with the connection. Counts are exact: a connection is dear enough to look into
//! a table for, and a sketch would refuse strangers for their neighbours.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// A limit on connections.
#[derive(Debug)]
pub struct Connections(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    most: usize,
    most_each: Option<usize>,
    all: usize,
    each: FxHashMap<IpAddr, usize>,
}

/// No seat is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// At all.
    All,
    /// For this address.
    Address,
}

/// A connection's seat.
#[derive(Debug)]
pub struct Seat {
    from: Option<IpAddr>,
    connections: Arc<Connections>,
}

impl Connections {
    /// At most `most`, and at most `most_each` from one address.
    pub fn new(most: usize, most_each: Option<usize>) -> Self {
        Self(Mutex::new(Held { most, most_each, ..Held::default() }))
    }

    /// Other limits. Who holds a seat keeps it.
    pub fn set(&self, most: usize, most_each: Option<usize>) {
        let mut held = self.0.lock();
        held.most = most;
        // Those that sat down while nobody counted by address are not known by it.
        held.most_each = most_each;
    }

    /// A seat for a connection from `address`, if one is free.
    pub fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Seat, Full> {
        let mut held = self.0.lock();
        if held.all >= held.most {
            return Err(Full::All);
        }
        let from = address.filter(|_| held.most_each.is_some()).map(neighbourhood);
        if let (Some(from), Some(most)) = (from, held.most_each) {
            let count = held.each.entry(from).or_default();
            if *count >= most {
                return Err(Full::Address);
            }
            *count += 1;
        }
        held.all += 1;
        Ok(Seat { from, connections: Arc::clone(self) })
    }

    /// How many are held.
    pub fn count(&self) -> usize {
        self.0.lock().all
    }
}

/// The address for which is counted: with IPv6 one customer has 2^64 of them (RFC 6177).
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64)).into(),
        four => four,
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut held = self.connections.0.lock();
        held.all -= 1;
        if let Some(from) = self.from
            && let Some(count) = held.each.get_mut(&from)
        {
            *count -= 1;
            if *count == 0 {
                held.each.remove(&from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_and_come_back() {
        let connections = Arc::new(Connections::new(3, Some(2)));
        let enter = |address: &str| connections.enter(Some(address.parse().expect(address)));
        let first = enter("2001:db8::1").expect("a seat");
        let _second = enter("2001:db8::2").expect("a seat");
        assert_eq!(enter("2001:db8::3").expect_err("none"), Full::Address);
        let _third = enter("1.2.3.4").expect("a seat");
        assert_eq!(enter("1.2.3.5").expect_err("none"), Full::All);
        drop(first);
        assert!(enter("2001:db8::3").is_ok());
        assert_eq!(connections.count(), 2);
    }

    #[test]
    fn addresses_are_forgotten() {
        let connections = Arc::new(Connections::new(10, Some(1)));
        drop(connections.enter(Some(IpAddr::from([1, 2, 3, 4]))));
        assert!(connections.0.lock().each.is_empty());
    }
}
