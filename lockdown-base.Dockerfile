# What the image of lockdown stands on: BASE and Debian's iptables. The one image whose making runs something: Debian's
# own package manager.
ARG BASE=gcr.io/distroless/cc-debian12
ARG PACKAGES=debian:bookworm-slim
FROM ${PACKAGES} AS packages
# Files by name, without links: /lib is a link in one of the two images and a directory in the other.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends iptables \
  && mkdir /staged \
  && dpkg --listfiles iptables libip4tc2 libip6tc2 libxtables12 libmnl0 libnftnl11 libnetfilter-conntrack3 libnfnetlink0 \
    | grep -E '/(sbin|lib)/' | grep -v /share/ | sort -u | sed 's,^/\(sbin\|lib\)/,/usr&,' \
    | while read -r file; do [ -d "$file" ] || cp --archive --parents "$file" /staged; done
FROM ${BASE}
COPY --from=packages /staged/ /
