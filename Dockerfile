# One Dockerfile for every image: PROGRAM says which of dist/*.mjs it carries, and only that. Nothing runs while it is
# built, so any builder does; `make images` puts what is copied into dist/.
# BASE needs glibc, libstdc++ and certificates; for PROGRAM=lockdown iptables as well.
ARG BASE=gcr.io/distroless/cc-debian12
FROM ${BASE}
ARG PROGRAM=chaperone
# First what all images share: one layer for all of them.
COPY dist/node dist/libpg-query.wasm dist/THIRD-PARTY-LICENSES.txt /opt/chaperone/
COPY dist/${PROGRAM}.mjs /opt/chaperone/main.mjs
USER 65532:65532
# A dependency of Kubernetes' client still asks for the built-in punycode: nothing that an operator could mend.
ENTRYPOINT ["/opt/chaperone/node", "--disable-warning=DEP0040", "/opt/chaperone/main.mjs"]
