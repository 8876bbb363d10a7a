# syntax=docker/dockerfile:1
# Two images of one build:
#   docker build -t weir .                                 the sidecar; it also carries the filter at /weir/dist/weir.wasm
#   docker build -t weir-filter --target filter .          the filter alone, as Envoy Gateway and Istio fetch it
FROM node:22-slim AS build
WORKDIR /weir
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npx tsx scripts/build.ts

FROM node:22-slim AS dependencies
WORKDIR /weir
COPY package.json package-lock.json ./
# The native parts come as prebuilt packages, so no scripts are needed.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM scratch AS filter
COPY --from=build /weir/dist/weir.wasm /plugin.wasm

FROM node:22-slim AS sidecar
ENV NODE_ENV=production \
    WEIR_SIDECAR_HOST=0.0.0.0 \
    WEIR_SIDECAR_PORT=8081 \
    WEIR_LEDGER_DIRECTORY=/var/lib/weir
WORKDIR /weir
COPY --from=dependencies /weir/node_modules ./node_modules
COPY --from=build /weir/package.json ./
COPY --from=build /weir/dist ./dist
RUN install -d -o node -g node -m 0700 /var/lib/weir
# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
VOLUME /var/lib/weir
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.WEIR_SIDECAR_PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/weir.js"]
CMD ["sidecar"]
