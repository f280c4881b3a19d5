//! The yardstick of `make bench`: bare Pingora that forwards everything to one upstream and sets one header.
//! Law: same profile, allocator, workers and keep-alive pool as Tollgate, so that a difference in CPU per
//! request is the price of what Tollgate does, not of how it was built. At most 80 lines.
//! Not here, on purpose: routes, admission, limits, an access log, DNS, TLS. It trusts its client.
//! Run: `BENCH_SECRET=token bare LISTEN_PORT UPSTREAM_ADDR`, with an address like `127.0.0.1:9000`.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::{env, process::exit, thread, time::Duration};

use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::{Server, configuration::ServerConf};
use pingora::upstreams::peer::HttpPeer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    upstream: SocketAddr,
    authorization: String,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();
    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        head: &mut RequestHeader,
        (): &mut (),
    ) -> pingora::Result<()> {
        head.insert_header("Authorization", self.authorization.as_str())
    }
}

fn main() {
    let mut args = env::args().skip(1);
    let port = args.next().map(|port| format!("127.0.0.1:{port}"));
    let listen = port.and_then(|address| address.parse::<SocketAddr>().ok());
    let upstream = args.next().and_then(|address| address.parse().ok());
    let (Some(listen), Some(upstream), None) = (listen, upstream, args.next()) else {
        eprintln!("usage: bare LISTEN_PORT UPSTREAM_ADDR");
        exit(2);
    };
    // Pingora retries a taken port for 30 s in silence, and never says that a listener is up: we do both.
    if let Err(error) = TcpListener::bind(listen) {
        eprintln!("bare: cannot listen on {listen}: {error}");
        exit(1);
    }
    thread::spawn(move || {
        while TcpStream::connect(listen).is_err() {
            thread::sleep(Duration::from_millis(5));
        }
        println!("bare listening on {listen}");
    });
    let token = env::var("BENCH_SECRET").unwrap_or_else(|_| "bare".to_owned());
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: 128,
        grace_period_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let bare = Bare { upstream, authorization: format!("bearer {token}") };
    let mut service = http_proxy_service(&server.configuration, bare);
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever()
}
