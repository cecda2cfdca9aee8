# dhcpd alone. The context is the folder that holds the built program:
#
#   cargo build --release --bin dhcpd
#   docker build -f docker/dhcpd.Dockerfile --build-arg BASE=debian:bookworm-slim -t labctl/dhcpd target/release
#   docker run --rm -v "$PWD/dhcpd.yaml:/etc/dhcpd.yaml:ro" labctl/dhcpd
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY dhcpd /usr/local/bin/dhcpd
EXPOSE 67/udp
ENTRYPOINT ["/usr/local/bin/dhcpd"]
CMD ["--config", "/etc/dhcpd.yaml"]
