//! Judges a stream of Anthropic's Messages events: `cargo run --example grammar < stream`.
//!
//! It says which event breaks which rule, and exits 1; or what the stream said, and exits 0. It shares nothing with Tollgate.

mod rules;

use std::io::{self, Read as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut stream = Vec::new();
    if let Err(error) = io::stdin().read_to_end(&mut stream) {
        eprintln!("the stream cannot be read: {error}");
        return ExitCode::FAILURE;
    }
    match rules::judge(&stream) {
        Ok(said) => {
            for block in &said.blocks {
                println!("{} {}: {}", block.kind, block.name, block.said);
            }
            match said.error {
                Some(error) => println!("error: {error}"),
                None => println!("stop: {}; usage: {}", said.stop_reason, said.usage),
            }
            println!("{} events, all in order", said.events.len());
            ExitCode::SUCCESS
        }
        Err(broken) => {
            eprintln!("event {}: {}", broken.event, broken.rule);
            ExitCode::FAILURE
        }
    }
}
