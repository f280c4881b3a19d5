//! A sample upstream: the AI provider that `make run` and the tests put behind Tollgate, so that neither needs an
//! account nor the network.
//!
//! It is honest, and that is its use. It answers only when the secret arrived that Tollgate injects (401), refuses when
//! a client's own credential came along with it (403, naming the header), and its answers depend on what was asked. A
//! proxy that forgets a header, leaks a key or mixes up two bodies cannot look right in front of it.
//!
//! | path                          | answers                                                                    |
//! |-------------------------------|----------------------------------------------------------------------------|
//! | POST `/v1/rerank`             | Cohere v1 rerank: scores by shared words and word pairs                    |
//! | POST `/v1/chat/completions`   | OpenAI chat, whole or `stream: true`, quoting the last user message, or as the model's name says: `turn.rs`, `mood.rs` |
//! | POST `/v1/completions`        | OpenAI's older completions, quoting the prompt                             |
//! | POST `/v1/embeddings`         | OpenAI embeddings of eight dimensions                                      |
//! | GET `/v1/models`              | one model, `sample-model` (chat accepts any name)                          |
//! | POST `/api/public/ingestion`  | Langfuse batch, 207; wants HTTP Basic `pk-sample:<secret>`                 |
//! | POST `/api/public/otel/v1/traces` | Langfuse traces, any body; wants HTTP Basic too                        |
//! | any `/echo`, `/echo/...`      | the request as it arrived, the secret shown as `***`                       |
//!
//! What it deliberately does not do: TLS, HTTP/2, compression, looking at images, `Date` headers, constant-time
//! comparison of the secret, anything a person should put on a network. It binds 127.0.0.1 and keeps nothing.
//!
//! ```text
//! upstream [--port N] [--secret TEXT]      # N = 0, the default: the system picks; TEXT defaults to $UPSTREAM_SECRET
//! ```
//!
//! When it accepts it prints one line, `upstream listening on http://127.0.0.1:PORT`. SIGTERM or SIGINT ends it, exit 0.
//!
//! `http.rs`, `request.rs` and `response.rs` are the wire, the others the answers, by `api.rs`.

mod api;
mod chat;
mod http;
mod mood;
mod request;
mod rerank;
mod response;
mod text;
mod turn;

use std::{env, io, io::Write, process::ExitCode, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

const USAGE: &str = "usage: upstream [--port N] [--secret TEXT]   (TEXT defaults to $UPSTREAM_SECRET)";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("upstream: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upstream: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line said.
struct Arguments {
    port: u16,
    secret: String,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut port = 0;
        let mut secret = env::var("UPSTREAM_SECRET").unwrap_or_default();
        while let Some(flag) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--port" => port = value()?.parse().map_err(|_| "--port needs a number from 0 to 65535")?,
                "--secret" => secret = value()?,
                _ => return Err(format!("unknown argument {flag}")),
            }
        }
        if secret.is_empty() {
            return Err("no secret: give --secret or set UPSTREAM_SECRET".to_owned());
        }
        Ok(Self { port, secret })
    }
}

async fn run(Arguments { port, secret }: Arguments) -> io::Result<()> {
    let secret: Arc<str> = secret.into();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    writeln!(io::stdout(), "upstream listening on http://{}", listener.local_addr()?)?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let secret = Arc::clone(&secret);
                    // A connection that breaks is its client's affair; there is nobody here to tell.
                    tokio::spawn(async move { http::serve(stream, |request| api::answer(request, &secret)).await });
                }
                // Out of file descriptors, say: wait for some to come back rather than spin or die.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
}
