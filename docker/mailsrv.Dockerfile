# mailsrv alone. The context is the folder that holds the built program:
#
#   cargo build --release --bin mailsrv
#   docker build -f docker/mailsrv.Dockerfile --build-arg BASE=debian:bookworm-slim -t labctl/mailsrv target/release
#   docker run --rm -v "$PWD/mailsrv.yaml:/etc/mailsrv.yaml:ro" labctl/mailsrv
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY mailsrv /usr/local/bin/mailsrv
EXPOSE 25 110 143 465 587 993 995
ENTRYPOINT ["/usr/local/bin/mailsrv"]
CMD ["--config", "/etc/mailsrv.yaml"]
