# webd alone. The context is the folder that holds the built program:
#
#   cargo build --release --bin webd
#   docker build -f docker/webd.Dockerfile --build-arg BASE=debian:bookworm-slim -t labctl/webd target/release
#   docker run --rm -v "$PWD/webd.yaml:/etc/webd.yaml:ro" labctl/webd
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY webd /usr/local/bin/webd
EXPOSE 80 443
ENTRYPOINT ["/usr/local/bin/webd"]
CMD ["--config", "/etc/webd.yaml"]
