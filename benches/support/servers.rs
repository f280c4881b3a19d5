//! The servers of the load benches: an upstream, and four proxies before it that do the same job.
//!
//! Law: each proxy has one worker, keeps connections to the upstream, and sets the same `Authorization`.
//! The upstream answers 401 without it, so a proxy that skips the job voids the run instead of winning it.
//! Everything binds loopback, on ports the kernel gave, with all files in the scratch directory.
//!
//! Not here, on purpose: other peers, key checks, TLS for bare Pingora, which has no listener of Tollgate's kind.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tollgate::auth::{Digest, KeyRecord, Quota, shown_name};
use tollgate::store::{Audit, Change, Fault, KeyStore, Sqlite};

use super::certificate::Certificate;
use super::load::{ANSWER, PATH, ask, on_path};
use super::process::{Running, Scratch};
use super::reload::{MARK, mark};

/// What the proxies inject: `bearer` and this. Handed to bare and Tollgate by the variable.
const SECRET: &str = "bench-upstream-secret";
const SECRET_VARIABLE: &str = "BENCH_SECRET";

/// A virtual key.
pub(crate) const KEY: &str = "sk-bench-0b7c1f52a9d34e88";

/// Connections of an nginx that nobody wants more of.
const WORKER: usize = 1024;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(10);

/// The programs, all looked up before anything starts.
pub(crate) struct Programs {
    nginx: PathBuf,
    haproxy: PathBuf,
    bare: PathBuf,
    tollgate: PathBuf,
}

impl Programs {
    pub(crate) fn find() -> Result<Programs, String> {
        let exe = env::current_exe().map_err(|e| format!("cannot find myself: {e}"))?;
        // A bench lies in target/release/deps.
        let release = exe.parent().and_then(Path::parent);
        let release = release.ok_or("the bench does not lie in a target directory")?;
        let built = |name: &str| {
            let path = release.join(name);
            let missing = || format!("{} is missing: `make bench` builds it first", path.display());
            path.is_file().then(|| path.clone()).ok_or_else(missing)
        };
        Ok(Programs {
            nginx: on_path("nginx")?,
            haproxy: on_path("haproxy")?,
            bare: built("examples/bare")?,
            tollgate: built("tollgate")?,
        })
    }
}

/// The proxies, in the order of the reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    Bare,
    Tollgate,
}

/// What a bench wants beyond one plain listener.
#[derive(Default)]
pub(crate) struct Needs {
    /// Clients at once, when they are more than some hundred.
    pub(crate) connections: Option<usize>,
    /// A second listener, with TLS and HTTP/2.
    pub(crate) certificate: Option<Certificate>,
    /// So many virtual keys in the store, of which [`KEY`] is one, with limits that are far away. The route stays open: a known
    /// key is looked up and counted there too.
    pub(crate) keys: Option<usize>,
    /// Neither metrics nor an access log.
    pub(crate) plain: bool,
    /// One more injected header, [`MARK`], whose value a reload changes.
    pub(crate) marked: bool,
    /// The upstream is a model, `claude`: by the adapter at `/v1/messages`, and as it is at `/through`. Both want a key.
    pub(crate) model: bool,
}

impl Needs {
    /// The setting that injects the first mark, or nothing.
    fn if_marked(&self, setting: String) -> String {
        if self.marked { setting } else { String::new() }
    }
}

/// A server that answered rightly at least once.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// The listener with TLS.
    pub(crate) secure: Option<u16>,
    pub(crate) process: Running,
}

impl Server {
    /// Starts a proxy before `upstream`.
    pub(crate) fn start(
        kind: Kind,
        needs: &Needs,
        programs: &Programs,
        scratch: &Scratch,
        upstream: u16,
    ) -> Result<Server, String> {
        let mut server = match kind {
            Kind::Nginx => nginx_proxy(needs, programs, scratch, upstream)?,
            Kind::Haproxy => haproxy(needs, programs, scratch, upstream)?,
            Kind::Bare => bare(programs, scratch, upstream)?,
            Kind::Tollgate => tollgate(needs, programs, scratch, upstream)?,
        };
        let port = server.port;
        wait(&mut server, || ask(port).map(drop))?;
        Ok(server)
    }

    /// The base of its plain URLs.
    pub(crate) fn plain(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The base of its URLs with TLS.
    pub(crate) fn tls(&self) -> Result<String, String> {
        Ok(format!("https://127.0.0.1:{}", self.secure.ok_or("it has no listener with TLS")?))
    }
}

/// Starts the upstream. It answers with the mark that it was sent, if any.
pub(crate) fn upstream(programs: &Programs, scratch: &Scratch) -> Result<Server, String> {
    let port = free_port()?;
    let mark = MARK.to_ascii_lowercase().replace('-', "_");
    let http = format!(
        r#"
  server {{
    listen 127.0.0.1:{port};
    keepalive_requests 1000000000;
    location = {PATH} {{
      default_type application/json;
      add_header {MARK} $http_{mark};
      if ($http_authorization != "bearer {SECRET}") {{ return 401; }}
      return 200 '{ANSWER}';
    }}
  }}"#
    );
    let process = nginx("upstream", &http, WORKER, programs, scratch)?;
    let mut server = Server { name: "upstream", port, secure: None, process };
    // Without the secret it must refuse, which is the sign of life as well.
    wait(&mut server, || match ask(port) {
        Err(why) if why.contains(" 401 ") => Ok(()),
        Err(why) => Err(why),
        Ok(_) => Err("answers without the secret".to_owned()),
    })?;
    Ok(server)
}

fn nginx_proxy(needs: &Needs, programs: &Programs, scratch: &Scratch, upstream: u16) -> Result<Server, String> {
    let port = free_port()?;
    let secure = needs.certificate.as_ref().map(|_| free_port()).transpose()?;
    // Older than 1.23.4 it would not speak TLS 1.3 by itself.
    let tls = needs.certificate.as_ref().zip(secure).map_or_else(String::new, |(certificate, port)| {
        format!(
            "listen 127.0.0.1:{port} ssl http2;\n    ssl_protocols TLSv1.2 TLSv1.3;\n    \
             ssl_certificate {};\n    ssl_certificate_key {};",
            certificate.chain.display(),
            certificate.key.display()
        )
    });
    let mark = needs.if_marked(format!("proxy_set_header {MARK} {};", mark(0)));
    // The limits on requests and time per connection are lifted because Pingora has none by default.
    let http = format!(
        r#"
  upstream origin {{
    server 127.0.0.1:{upstream};
    keepalive 128;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    {tls}
    keepalive_requests 1000000000;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "bearer {SECRET}";
      {mark}
    }}
  }}"#
    );
    // One more for each request that is on its way to the upstream, and for what is kept there.
    let connections = needs.connections.map_or(WORKER, |clients| clients + WORKER);
    let process = nginx("nginx", &http, connections, programs, scratch)?;
    Ok(Server { name: "nginx", port, secure, process })
}

/// A master with one worker of one thread. The worker hands its sockets to the next one by itself in this mode.
fn haproxy(needs: &Needs, programs: &Programs, scratch: &Scratch, upstream: u16) -> Result<Server, String> {
    let port = free_port()?;
    let mark = needs.if_marked(format!("http-request set-header {MARK} {}", mark(0)));
    let connections = needs.connections.map_or(WORKER, |clients| clients + WORKER);
    let config = format!(
        r#"
global
  nbthread 1
  maxconn {connections}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen proxy
  bind 127.0.0.1:{port}
  http-request set-header Authorization "bearer {SECRET}"
  {mark}
  http-reuse always
  server origin 127.0.0.1:{upstream}
"#
    );
    let config = scratch.write("haproxy.cfg", &config)?;
    let mut command = Command::new(&programs.haproxy);
    command.arg("-W").arg("-f").arg(config);
    let process = Running::start("haproxy", command, scratch)?;
    Ok(Server { name: "haproxy", port, secure: None, process })
}

fn bare(programs: &Programs, scratch: &Scratch, upstream: u16) -> Result<Server, String> {
    let port = free_port()?;
    let mut command = Command::new(&programs.bare);
    command.arg(port.to_string()).arg(format!("127.0.0.1:{upstream}"));
    command.env(SECRET_VARIABLE, SECRET);
    let process = Running::start("bare", command, scratch)?;
    Ok(Server { name: "bare", port, secure: None, process })
}

fn tollgate(needs: &Needs, programs: &Programs, scratch: &Scratch, upstream: u16) -> Result<Server, String> {
    let port = free_port()?;
    let secure = needs.certificate.as_ref().map(|_| free_port()).transpose()?;
    let mut own = String::new();
    // The port beside would be another server's.
    own += match needs.plain {
        true => "tollgate:\n  admin_listen: false\n  log_to: false\n",
        false => "tollgate:\n  admin_listen: 127.0.0.1:0\n",
    };
    if let Some(clients) = needs.connections {
        // One more for who asks whether it is ready.
        own += &format!("  limits: {{connections: {}}}\n", clients + 1);
    }
    if let (Some(certificate), Some(secure)) = (&needs.certificate, secure) {
        own += &format!(
            "  listen:\n    - 127.0.0.1:{port}\n    - address: 127.0.0.1:{secure}\n      \
             tls: {{cert: {}, key: {}}}\n",
            certificate.chain.display(),
            certificate.key.display()
        );
    }
    let mark = needs.if_marked(format!("{MARK}: {}", mark(0)));
    let (mut ways, mut models) = (String::new(), String::new());
    if needs.model {
        let base = format!("http://127.0.0.1:{upstream}/v1");
        ways = format!(
            "    - {{path: /v1/messages, target: custom_callbacks.anthropic_adapter}}\n    - path: /through\n      \
             auth: true\n      target: {base}/chat/completions\n      \
             headers: {{Authorization: bearer os.environ/{SECRET_VARIABLE}}}\n"
        );
        models = format!(
            "model_list:\n  - model_name: claude\n    litellm_params: {{model: gpt-4.1-mini, api_base: '{base}', \
             api_key: os.environ/{SECRET_VARIABLE}}}\n"
        );
    }
    let config = format!(
        r#"
{models}general_settings:
  master_key: sk-bench-7f3a91c04e5d2b68
  pass_through_endpoints:
    - path: {PATH}
      target: http://127.0.0.1:{upstream}{PATH}
      headers:
        Authorization: "bearer os.environ/{SECRET_VARIABLE}"
        {mark}
{ways}{own}"#
    );
    let config = scratch.write("tollgate.yaml", &config)?;
    let mut command = Command::new(&programs.tollgate);
    command.arg("--config").arg(config);
    command.args(["--num_workers", "1"]);
    if secure.is_none() {
        command.args(["--port", &port.to_string()]);
    }
    let state = scratch.path().join("state");
    if let Some(count) = needs.keys {
        keep_keys(&state.join("tollgate.db"), count).map_err(|fault| format!("the keys cannot be kept: {fault}"))?;
    }
    command.env(SECRET_VARIABLE, SECRET).env("STATE_DIRECTORY", state);
    let process = Running::start("tollgate", command, scratch)?;
    Ok(Server { name: "tollgate", port, secure, process })
}

/// Puts `count` keys into the store at `path`, each with an alias and limits.
fn keep_keys(path: &Path, count: usize) -> Result<(), Fault> {
    let (mut store, salt) = Sqlite::open(path, None)?;
    let changes: Vec<Change> = (0..count)
        .map(|number| {
            let key = if number == 0 { KEY.to_owned() } else { format!("sk-bench-{number:016}") };
            let mut record = KeyRecord::new(salt.id(&Digest::of(key.as_bytes())), shown_name(&key), number as u64);
            record.alias = Some(format!("team-{:02}-service-{number}", number % 50));
            record.quota = Quota { requests: Some(4_000_000_000), parallel: Some(1000), ..Quota::default() };
            Change::Key(Box::new(record))
        })
        .collect();
    store.write(0, &changes, &Audit { who: "bench".into(), what: "/key/generate", at: 0 })?;
    Ok(())
}

/// One nginx with one worker and every file below the scratch directory, so that it needs no rights.
fn nginx(
    name: &'static str,
    http: &str,
    connections: usize,
    programs: &Programs,
    scratch: &Scratch,
) -> Result<Running, String> {
    let temp = |kind: &str| format!("  {kind}_temp_path {name}-{kind};\n");
    let temps: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(temp).concat();
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {name}.pid;\nerror_log stderr warn;\n\
         events {{ worker_connections {connections}; }}\n\
         http {{\n  access_log off;\n  keepalive_timeout 1h;\n{temps}{http}\n}}\n"
    );
    let config = scratch.write(&format!("{name}.conf"), &config)?;
    let mut command = Command::new(&programs.nginx);
    // -e: else it opens the log of the installed nginx before it reads our file.
    command.arg("-p").arg(scratch.path()).args(["-e", "stderr", "-c"]).arg(config);
    Running::start(name, command, scratch)
}

/// Asks until the answer is right, the server ends, or patience does.
pub(crate) fn wait(server: &mut Server, answers: impl Fn() -> Result<(), String>) -> Result<(), String> {
    let deadline = Instant::now() + START;
    loop {
        server.process.alive()?;
        match answers() {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() > deadline => {
                let words = server.process.words();
                return Err(format!("{} is not ready: {why}; {words}", server.name));
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A port that was free a moment ago. Whoever takes it in between makes its server fail to start.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(|e| format!("no free port: {e}"))?.port())
}
