//! The built-in adapter on a Unix socket, without the proxy: `cargo run --example hosted -- CONFIG SOCKET`.
//!
//! Anthropic's Messages are served on any path of it by the models of the config. The law: whoever can open the socket may ask, so
//! that its mode is what keys are elsewhere; nobody else can.

use std::error::Error;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::services::listening::Service;
use tollgate::completion::Completion;
use tollgate::config::env::Process;
use tollgate::config::{self, Overrides};
use tollgate::translate::Adapters;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(socket)) = (args.next(), args.next()) else {
        return Err("usage: hosted CONFIG SOCKET".into());
    };
    let (config, report) = config::load(Path::new(&path), &Process::with_dotenv()?, &Overrides::default());
    for problem in &report.problems {
        eprintln!("{problem}");
    }
    let config = config.ok_or("the config cannot be used")?;
    let completion = Arc::new(Completion::new(&config, Adapters::default())?);
    let hosted = completion.hosted("anthropic").map_err(|problem| problem.message)?;
    let mut service = Service::new("messages".into(), hosted);
    service.add_uds(&socket, Some(Permissions::from_mode(0o600)));
    let mut server = Server::new_with_opt_and_conf(None, ServerConf { threads: 1, ..ServerConf::default() });
    server.bootstrap();
    server.add_service(service);
    server.run_forever()
}
