# The image of Deltawire: one bundle on distroless Node 24, without shell, package manager or node_modules.
#
#   docker build --tag deltawire/deltawire:0.1.0 --build-arg VERSION=0.1.0 .
#
# npm settings of your own (a mirror, its token): --secret id=npmrc,src=$HOME/.npmrc
# The same digest for the same commit: SOURCE_DATE_EPOCH in the environment, --output type=image,rewrite-timestamp=true
# A release pins what it builds on: --build-arg BUILDER=...@sha256:... --build-arg BASE=...@sha256:...
ARG BUILDER=docker.io/library/node:24.21.0-trixie-slim
ARG BASE=gcr.io/distroless/nodejs24-debian13:nonroot

# JavaScript is the same everywhere: it is bundled once, on the machine's own architecture.
FROM --platform=$BUILDPLATFORM ${BUILDER} AS builder
WORKDIR /source
COPY package.json package-lock.json .npmrc LICENSE ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --ignore-scripts
COPY src src
COPY sinks sinks
COPY scripts scripts
RUN node scripts/bundle.ts /bundle \
  && node --disable-proto=delete --disallow-code-generation-from-strings --max-old-space-size-percentage=70 \
    /bundle/main.mjs version

FROM ${BASE}
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Deltawire" \
  org.opencontainers.image.description="Every change in a Kubernetes cluster, as a CloudEvent, delivered." \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
COPY --from=builder /bundle /opt/deltawire
COPY scripts/deltawire /usr/local/bin/deltawire
# a number: Kubernetes cannot tell from a name that it is not root
USER 65532:65532
# of memory that a container may use, the heap gets 70 %; buffers and code take the rest
ENTRYPOINT ["/nodejs/bin/node", "--disable-proto=delete", "--disallow-code-generation-from-strings", \
  "--max-old-space-size-percentage=70", "/opt/deltawire/main.mjs"]
