# One image for every program: `chaperone standalone DIR` and the others are commands of it. Nothing runs while
# it is built, so any builder does; `make build` and `make image` put what is copied into dist/.
# BASE needs glibc, libstdc++ and certificates.
ARG BASE=gcr.io/distroless/cc-debian12
FROM ${BASE}
COPY dist/ /opt/chaperone/
USER 65532:65532
ENTRYPOINT ["/opt/chaperone/node", "/opt/chaperone/chaperone.mjs"]
CMD ["--help"]
