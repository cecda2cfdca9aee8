# labctl itself, for use with an engine's socket (macOS, Windows, CI):
#
#   docker build -f docker/labctl.Dockerfile -t labctl .
#   docker run --rm -v /var/run/docker.sock:/var/run/docker.sock -v "$PWD:/labs" labctl up lab.yaml
#
# Both bases are arguments, so it can be built without a registry on images made locally. The base
# must have the C library of the builder or a newer one.
ARG BUILDER=rust:1.95-bookworm
ARG BASE=debian:bookworm-slim

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin labctl

FROM ${BASE}
COPY --from=build /src/target/release/labctl /usr/local/bin/labctl
WORKDIR /labs
ENTRYPOINT ["/usr/local/bin/labctl"]
CMD ["--help"]
