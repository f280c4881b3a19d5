#!/usr/bin/env bash
# Starts the sample upstream and, in front of it, Tollgate on conf/quickstart.yaml; prints curls to paste; Ctrl-C stops
# both. `make run` builds first and then comes here.
#
#   PORT        where Tollgate listens (4000); 0: the system picks
#   READY_FILE  once both accept, TOLLGATE_PORT=… and UPSTREAM_PORT=… are written there
#   BIN_DIR     where the two programs are (target/release)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

port=${PORT:-4000}
bin=${BIN_DIR:-${CARGO_TARGET_DIR:-target}/release}
work=$(mktemp -d)
pids=()

fail() {
    printf 'run: %s\n' "$*" >&2
    exit 1
}

# Ends what was started here, by its pid: politely, then not.
# shellcheck disable=SC2329 # the traps call it
stop() {
    trap '' INT TERM HUP
    local pid tries=200
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "${pids[@]}"; do
        while kill -0 "$pid" 2>/dev/null && ((tries-- > 0)); do
            sleep 0.05
        done
        kill -KILL "$pid" 2>/dev/null && printf 'run: process %s did not stop within 10 s, killed\n' "$pid" >&2
    done
    wait
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 0' INT TERM HUP

# Passes on what a program prints, and leaves the port of its ready line in the file NAME.
relay() {
    local name=$1 line
    while IFS= read -r line; do
        printf '%s\n' "$line"
        if [[ $line =~ listening\ on\ http://127\.0\.0\.1:([0-9]+) ]]; then
            printf '%s\n' "${BASH_REMATCH[1]}" >"$work/$name.part"
            mv "$work/$name.part" "$work/$name"
            exec cat
        fi
    done
}

# launch NAME COMMAND...: sets `pid`.
launch() {
    local name=$1
    shift
    [[ -x $1 ]] || fail "$1 is not built: make build"
    mkfifo "$work/$name.out"
    relay "$name" <"$work/$name.out" &
    "$@" >"$work/$name.out" &
    pid=$!
    pids+=("$pid")
}

accepts() {
    (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

# await NAME PID: until the program has said its port and accepts there; sets `ready_port`. 1: it ended, 2: it hangs.
await() {
    local tries=600
    until [[ -s $work/$1 ]] && ready_port=$(<"$work/$1") && accepts 127.0.0.1 "$ready_port"; do
        kill -0 "$2" 2>/dev/null || return 1
        ((tries-- > 0)) || return 2
        sleep 0.05
    done
}

if ! [[ $port =~ ^[0-9]{1,5}$ ]] || ((10#$port > 65535)); then
    fail "PORT must be a number from 0 to 65535, like this: make run PORT=4001"
fi
port=$((10#$port))

UPSTREAM_SECRET=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export UPSTREAM_SECRET
launch upstream "$bin/examples/upstream"
upstream=$pid
await upstream "$upstream" || fail "the sample upstream did not start; its message stands above"
export UPSTREAM_PORT=$ready_port

# Its keys live as long as this run.
launch tollgate "$bin/tollgate" --config conf/quickstart.yaml --port "$port" --state-dir "$work/state"
tollgate=$pid
outcome=0
await tollgate "$tollgate" || outcome=$?
if ((outcome == 1)); then
    status=0
    wait "$tollgate" || status=$?
    if ((port > 0)) && { accepts 127.0.0.1 "$port" || accepts ::1 "$port"; }; then
        fail "port $port is busy: stop what listens there, or choose another one: make run PORT=$((port + 1))"
    fi
    fail "tollgate ended with status $status before it listened; its message stands above"
elif ((outcome == 2)); then
    fail "tollgate runs, but does not accept connections after 30 s"
fi
# With a port that the system picked only 127.0.0.1 is sure to have it.
((port > 0)) && host=localhost || host=127.0.0.1
base=http://$host:$ready_port

cat <<END

Tollgate is ready in front of the sample upstream. Paste these into another terminal; Ctrl-C here stops both.

# Rerank: you send no secret, the upstream gets one.
curl --request POST \\
  --url $base/v1/rerank \\
  --header 'accept: application/json' \\
  --header 'content-type: application/json' \\
  --data '{
    "model": "rerank-english-v3.0",
    "query": "What is the capital of the United States?",
    "top_n": 3,
    "documents": ["Carson City is where Nevada is governed from.",
      "Saipan is the capital of the Northern Mariana Islands, out in the Pacific.",
      "Washington, D.C. is the capital of the United States.",
      "In English a capital letter begins a sentence, and that is called capitalization.",
      "Some of the United States still have capital punishment."]
  }'

# The same behind a Tollgate key.
curl $base/keyed/rerank \\
  -H 'Authorization: Bearer sk-1234' \\
  -H 'content-type: application/json' \\
  -d '{"query": "green apples", "documents": ["red cherries", "apples, green ones", "green apples"]}'

# And without the key: 401.
curl -i $base/keyed/rerank \\
  -H 'content-type: application/json' \\
  -d '{"query": "green apples", "documents": ["red cherries", "green apples"]}'

# A key of your own, for two requests a minute; it is kept in the embedded store, and shown this once.
key=\$(curl -s $base/key/generate \\
  -H 'Authorization: Bearer sk-1234' \\
  -H 'content-type: application/json' \\
  -d '{"key_alias": "mine", "rpm_limit": 2}' | sed -E 's/.*"key":"([^"]+)".*/\1/'); echo "\$key"

# Three requests with it: the third is 429 and says when to come again.
for number in 1 2 3; do
  curl -si $base/keyed/rerank -H "Authorization: Bearer \$key" \\
    -d '{"query": "green apples", "documents": ["red cherries", "green apples"]}' | grep -iE '^(HTTP|retry-after:)'
done

# Langfuse, whatever keys the client has: 207.
curl -i -u anything:anything $base/api/public/ingestion \\
  -H 'content-type: application/json' \\
  -d '{"batch": [{"id": "event-1", "type": "trace-create", "timestamp": "2025-01-01T00:00:00Z",
        "body": {"id": "trace-1", "name": "hello"}}]}'

# What the upstream sees: x-pass-colour arrives as colour, the path byte for byte.
curl -H 'x-pass-colour: green' '$base/echo/a%2Fb/caf%C3%A9?tag=1&tag=2'

# OpenAI chat, whole ...
curl $base/openai/chat/completions \\
  -H 'Authorization: Bearer sk-1234' \\
  -H 'content-type: application/json' \\
  -d '{"model": "sample-model", "messages": [{"role": "user", "content": "Hello from the edge"}]}'

# ... and streaming.
curl -N $base/openai/chat/completions \\
  -H 'Authorization: Bearer sk-1234' \\
  -H 'content-type: application/json' \\
  -d '{"model": "sample-model", "stream": true, "messages": [{"role": "user", "content": "Hello from the edge"}]}'

# Anthropic's Messages on that model, whole ...
curl $base/v1/messages \\
  -H 'x-api-key: sk-1234' \\
  -H 'anthropic-version: 2023-06-01' \\
  -H 'content-type: application/json' \\
  -d '{"model": "my-fake-claude-endpoint", "max_tokens": 1024,
       "messages": [{"role": "user", "content": "Hello, world"}]}'

# ... and streaming; an OpenAI client asks for the same model at /v1/chat/completions.
curl -N $base/v1/messages \\
  -H 'x-api-key: sk-1234' \\
  -H 'content-type: application/json' \\
  -d '{"model": "my-fake-claude-endpoint", "max_tokens": 1024, "stream": true,
       "messages": [{"role": "user", "content": "Hello, world"}]}'

END

if [[ -n ${READY_FILE:-} ]]; then
    printf 'TOLLGATE_PORT=%s\nUPSTREAM_PORT=%s\n' "$ready_port" "$UPSTREAM_PORT" >"$READY_FILE.part"
    mv "$READY_FILE.part" "$READY_FILE"
fi

wait -n "$upstream" "$tollgate" || true
fail "one of the two programs ended by itself; its message stands above"
