# The image of Tollgate. `make container-lint` holds its rules, `make image-test` runs its steps without an engine.
#
#   docker build -t tollgate .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 127.0.0.1:4000:4000 \
#     -e TOLLGATE_MASTER_KEY -v "$PWD/config.yaml:/app/config.yaml:ro" -v tollgate-state:/var/lib/tollgate \
#     tollgate --config /app/config.yaml

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates cmake g++ make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin tollgate && cp target/release/tollgate /tollgate && mkdir /state

# glibc and nothing of ours but the binary: no shell script, no package manager's work, no curl.
FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /tollgate /usr/local/bin/tollgate
# A volume that is mounted there begins as this: empty, and the user's.
COPY --from=build --chown=65532:65532 /state /var/lib/tollgate
COPY LICENSE /usr/share/doc/tollgate/LICENSE
WORKDIR /app
# Loopback inside of a container is reached by nobody. With any other listener Tollgate asks every entry that injects a
# secret for `auth`, and refuses master keys that everybody knows.
ENV HOST=0.0.0.0
ENV STATE_DIRECTORY=/var/lib/tollgate
# A number, so that `runAsNonRoot` can be checked; it owns nothing but the folder of the key store.
USER 65532:65532
EXPOSE 4000
# What is being served may end: up to 30 s, then the process does.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["tollgate", "health"]
ENTRYPOINT ["tollgate"]
CMD ["--config", "/app/config.yaml"]
