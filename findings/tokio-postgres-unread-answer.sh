#!/usr/bin/env bash
# tokio-postgres 0.7.18, tokio 1.54; PostgreSQL 16 as pgserver 0.1.4 from PyPI brings it.
#
# A client of tokio-postgres may be asked by many tasks at once: statements are pipelined over its connection, which a task of its own
# drives. So a query that one task has begun and does not poll for a while should be that task's affair. Streams of futures do that all
# the time: `buffered` does not poll what it holds while the stage after it is full, `take_until` keeps what it has stopped.
#
# Seen: an answer of more than a few messages that nobody polls stops the whole connection. The query behind it, of another task, has no
# answer after five seconds; it comes at once when the first is polled, or dropped. The channel between connection and request holds few
# messages, and while it is full nothing more is read from the socket.
#
# Fails if that changes. Linux or macOS with python3 and cargo; some 300 MB in a temporary folder, a minute to compile.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_RUNTIME_DIR=$folder CARGO_TARGET_DIR=$folder/target
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pgserver==0.1.4
mkdir -p "$folder/unread/src"
cat >"$folder/unread/Cargo.toml" <<'TOML'
[package]
name = "unread"
version = "0.0.0"
edition = "2024"

[dependencies]
futures-util = "=0.3.31"
tokio = { version = "=1.54.1", features = ["macros", "rt-multi-thread", "time"] }
tokio-postgres = "=0.7.18"
TOML
cat >"$folder/unread/src/main.rs" <<'RUST'
use std::time::{Duration, Instant};

use futures_util::poll;
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (client, connection) = tokio_postgres::connect(&std::env::args().nth(1).ok_or("no address")?, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let mut first = Box::pin(client.query_typed("SELECT repeat('x', 1000) FROM generate_series(1, 2000)", &[]));
    assert!(poll!(&mut first).is_pending());
    let began = Instant::now();
    let mut second = Box::pin(client.query_typed("SELECT 1", &[]));
    let held_up = timeout(Duration::from_secs(5), &mut second).await.is_err();
    println!("the second answered within 5 s while nobody polled the first: {}", !held_up);
    drop(first);
    let rows = timeout(Duration::from_secs(5), second).await??;
    println!("and with the first dropped: {} row, {:.1} s after it was sent", rows.len(), began.elapsed().as_secs_f64());
    assert!(held_up, "it has changed");
    println!("as described");
    Ok(())
}
RUST
cargo build --quiet --manifest-path "$folder/unread/Cargo.toml"
"$folder/venv/bin/python" - "$folder/data" "$folder/target/debug/unread" <<'PYTHON'
import subprocess
import sys

import pgserver

subprocess.run([sys.argv[2], pgserver.get_server(sys.argv[1]).get_uri()], check=True)
PYTHON
