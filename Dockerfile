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
# One arena of malloc for each of Node.js's threads keeps what the others could use: a busy proxy grew for half an hour.
ENV MALLOC_ARENA_MAX=2
# A dependency of Kubernetes' client still asks for the built-in punycode: nothing that an operator could mend. What a
# statement leaves behind is dead at once: a small young generation is collected faster, and takes less memory.
ENTRYPOINT ["/opt/chaperone/node", "--max-semi-space-size=4", "--disable-warning=DEP0040", "/opt/chaperone/main.mjs"]
