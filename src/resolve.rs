//! The only DNS in the house.
//!
//! The law: a name is resolved once for all who wait for it; its addresses are kept for their TTL, then refreshed in the
//! background while requests go on with the last good ones, which are kept as long as refreshing fails; a name that never
//! resolved is asked for again after a second. No request waits once a name is warm, and nothing here stops a start.
//!
//! It does not decide which of the addresses is dialled.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::config::{Network, Override};
use crate::upstream::Host;

/// How long a failure is remembered where there is no last good answer.
const NEGATIVE: Duration = Duration::from_secs(1);
/// The shortest time an answer counts, whatever its TTL.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long one look-up may take, all name servers and attempts together.
const LOOKUP: Duration = Duration::from_secs(5);
/// How long the second family is waited for once the first has answered (RFC 8305 section 3 asks for 50 ms).
const SECOND: Duration = Duration::from_millis(50);
/// The most names that are remembered; a config has fewer.
const MOST_NAMES: usize = 100_000;

/// Resolves names, and remembers.
pub struct Resolver {
    dns: Option<Dns>,
    servers: Vec<SocketAddr>,
    overrides: Vec<Override>,
    names: RwLock<HashMap<Box<str>, Arc<Name>>>,
}

/// A resolver for each family, so that one that is not answered does not cost the other.
struct Dns {
    four: TokioResolver,
    six: TokioResolver,
}

/// What is known of a name.
#[derive(Default)]
struct Name {
    known: Mutex<Known>,
    /// Held by the one task that asks.
    asking: tokio::sync::Mutex<()>,
    refreshing: AtomicBool,
}

#[derive(Clone, Default)]
struct Known {
    addresses: Option<Arc<[IpAddr]>>,
    until: Option<Instant>,
}

/// The addresses of a host, with their port.
#[derive(Clone, Debug)]
pub struct Addresses {
    ips: Ips,
    port: u16,
}

#[derive(Clone, Debug)]
enum Ips {
    One(IpAddr),
    Many(Arc<[IpAddr]>),
}

/// The name has no address.
#[derive(Debug, PartialEq, Eq)]
pub struct Unresolved(pub String);

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unresolved {}

impl Addresses {
    /// How many there are; at least one.
    pub fn len(&self) -> usize {
        match &self.ips {
            Ips::One(_) => 1,
            Ips::Many(ips) => ips.len(),
        }
    }

    /// Whether there is none, which [`Resolver::addresses`] never returns.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address for attempt `number`, counted from 0, going round.
    pub fn get(&self, number: usize) -> Option<SocketAddr> {
        let ip = match &self.ips {
            Ips::One(ip) => Some(*ip),
            Ips::Many(ips) => ips.get(number.checked_rem(ips.len())?).copied(),
        };
        ip.map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl Resolver {
    /// A resolver for the names of a config.
    pub fn new(network: &Network) -> Self {
        let dns = build(&network.dns_servers);
        if let Err(error) = &dns {
            log::warn!("no name server can be used, names will not resolve: {error}");
        }
        Self {
            dns: dns.ok(),
            servers: network.dns_servers.clone(),
            overrides: network.resolve.clone(),
            names: RwLock::default(),
        }
    }

    /// A resolver for another config, which knows what this one knows, as long as the same servers are asked.
    pub fn following(&self, network: &Network) -> Self {
        let next = Self::new(network);
        if network.dns_servers == self.servers {
            next.names.write().clone_from(&self.names.read());
        }
        next
    }

    /// The addresses of `host` at `port`.
    pub async fn addresses(self: &Arc<Self>, host: &Host, port: u16) -> Result<Addresses, Unresolved> {
        let name = match host {
            Host::Ip(ip) => return Ok(Addresses { ips: Ips::One(*ip), port }),
            Host::Name(name) => name,
        };
        if let Some(line) =
            self.overrides.iter().find(|line| line.host == *name && line.port.is_none_or(|only| only == port))
        {
            let port = if line.address.port() == 0 { port } else { line.address.port() };
            return Ok(Addresses { ips: Ips::One(line.address.ip()), port });
        }
        let ips = self.ips(name).await?;
        Ok(Addresses { ips: Ips::Many(ips), port })
    }

    async fn ips(self: &Arc<Self>, name: &str) -> Result<Arc<[IpAddr]>, Unresolved> {
        let entry = self.entry(name);
        let known = entry.known.lock().clone();
        let fresh = known.until.is_some_and(|until| Instant::now() < until);
        match known.addresses {
            Some(addresses) => {
                if !fresh && !entry.refreshing.swap(true, Ordering::AcqRel) {
                    let (resolver, name) = (Arc::clone(self), name.to_owned());
                    tokio::spawn(async move {
                        let _ = resolver.ask(&name, &entry).await;
                        entry.refreshing.store(false, Ordering::Release);
                    });
                }
                Ok(addresses)
            }
            None if fresh => Err(Unresolved("the name did not resolve a moment ago".into())),
            None => {
                let _turn = entry.asking.lock().await;
                let known = entry.known.lock().clone();
                match known.addresses {
                    Some(addresses) => Ok(addresses),
                    None if known.until.is_some_and(|until| Instant::now() < until) => {
                        Err(Unresolved("the name did not resolve a moment ago".into()))
                    }
                    None => self.ask(name, &entry).await,
                }
            }
        }
    }

    fn entry(&self, name: &str) -> Arc<Name> {
        if let Some(entry) = self.names.read().get(name) {
            return Arc::clone(entry);
        }
        let mut names = self.names.write();
        if names.len() >= MOST_NAMES {
            names.clear();
        }
        Arc::clone(names.entry(name.into()).or_default())
    }

    /// Asks DNS and remembers the answer; a failure keeps the last good one.
    async fn ask(&self, name: &str, entry: &Name) -> Result<Arc<[IpAddr]>, Unresolved> {
        let answer = self.look_up(name).await;
        let mut known = entry.known.lock();
        match answer {
            Ok((addresses, until)) => {
                *known = Known { addresses: Some(Arc::clone(&addresses)), until: Some(until) };
                Ok(addresses)
            }
            Err(error) => {
                log::warn!("{name} did not resolve: {error}");
                known.until = Some(Instant::now() + NEGATIVE);
                known.addresses.clone().ok_or(error)
            }
        }
    }

    async fn look_up(&self, name: &str) -> Result<(Arc<[IpAddr]>, Instant), Unresolved> {
        let dns = self.dns.as_ref().ok_or_else(|| Unresolved("there is no name server".into()))?;
        let (four, six) = tokio::time::timeout(LOOKUP, both(dns.four.lookup_ip(name), dns.six.lookup_ip(name)))
            .await
            .map_err(|_| Unresolved("the name servers did not answer in time".into()))?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        let mut ttl = LONGEST;
        let mut failure = None;
        for answer in [four, six].into_iter().flatten() {
            match answer {
                Ok(found) => {
                    addresses.extend(found.iter());
                    ttl = ttl.min(found.valid_until().saturating_duration_since(std::time::Instant::now()));
                }
                Err(error) => failure = failure.or(Some(error.to_string())),
            }
        }
        if addresses.is_empty() {
            return Err(Unresolved(failure.unwrap_or_else(|| "the name has no address".into())));
        }
        Ok((addresses.into(), Instant::now() + ttl.clamp(SHORTEST, LONGEST)))
    }
}

/// Waits for both answers, but for the second only [`SECOND`] once the first is good.
async fn both<T, E>(
    one: impl Future<Output = Result<T, E>>,
    other: impl Future<Output = Result<T, E>>,
) -> (Option<Result<T, E>>, Option<Result<T, E>>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    tokio::select! {
        first = &mut one => {
            let wait = if first.is_ok() { SECOND } else { LOOKUP };
            (Some(first), tokio::time::timeout(wait, other).await.ok())
        }
        first = &mut other => {
            let wait = if first.is_ok() { SECOND } else { LOOKUP };
            (tokio::time::timeout(wait, one).await.ok(), Some(first))
        }
    }
}

/// A resolver for each family.
fn build(servers: &[SocketAddr]) -> Result<Dns, String> {
    Ok(Dns {
        four: build_one(servers, LookupIpStrategy::Ipv4Only)?,
        six: build_one(servers, LookupIpStrategy::Ipv6Only)?,
    })
}

fn build_one(servers: &[SocketAddr], family: LookupIpStrategy) -> Result<TokioResolver, String> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().map_err(|error| error.to_string())?
    } else {
        let servers = servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.ip_strategy = family;
    options.use_hosts_file = ResolveHosts::Always;
    // Answers are remembered here, with the last good one; a second memory would only hide a change.
    options.cache_size = 0;
    options.timeout = Duration::from_secs(2);
    builder.build().map_err(|error| error.to_string())
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(address.ip());
    config.connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .into_iter()
        .map(|mut connection| {
            connection.port = address.port();
            connection
        })
        .collect();
    config
}
