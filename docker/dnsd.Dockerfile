# dnsd alone. The context is the folder that holds the built program:
#
#   cargo build --release --bin dnsd
#   docker build -f docker/dnsd.Dockerfile --build-arg BASE=debian:bookworm-slim -t labctl/dnsd target/release
#   docker run --rm -v "$PWD/dnsd.yaml:/etc/dnsd.yaml:ro" labctl/dnsd
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY dnsd /usr/local/bin/dnsd
EXPOSE 53/udp 53/tcp
ENTRYPOINT ["/usr/local/bin/dnsd"]
CMD ["--config", "/etc/dnsd.yaml"]
