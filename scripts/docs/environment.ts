// What the reference says of environment variables; scripts/docs/settings.ts checks that none is missing and none is too many.

/** Of the sidecar. */
export const SIDECAR_ENVIRONMENT: Record<string, string> = {
  WEIR_SIDECAR_HOST: "The address to listen on: `host`.",
  WEIR_SIDECAR_PORT: "The port to listen on: `port`.",
  WEIR_REDIS_URL:
    "`redis://` or `rediss://` (TLS), with user and password if needed, both percent-encoded. An authority that Node does not know is in the file that `NODE_EXTRA_CA_CERTS` names; Redis is shown no certificate (`tls-auth-clients no`). Several, separated by commas, are nodes of one cluster. With it the ledger is in Redis.",
  WEIR_REDIS_CLUSTER: "`1`: the one URL is a node of a cluster; `0` or nothing: it is not.",
  WEIR_ADMIN_TOKEN:
    "Opens the admin service to those who show it: 16 to 256 printable ASCII characters, no spaces. `adminToken`.",
  WEIR_EVENTS_FILE: "Events of requests as JSON lines: a path, or `-` for stdout. `events.file`.",
  WEIR_EVENTS_KEY:
    "The key of the names that stand for subjects, addresses and answers in events, 16 characters or more. Without one a random key makes them, and they change with each start.",
  WEIR_WEBHOOK_URL: "Where notices of budgets and flagged texts are posted, signed.",
  WEIR_WEBHOOK_SECRET: "Signs them: text of 16 characters or more, or `whsec_` and Base64.",
  WEIR_MODERATION_ALLOW:
    "The moderators that policies may name (`events.moderation`), separated by commas: `URL`, or `NAME=URL` for one that is shown a key, which is then in `WEIR_MODERATION_KEY_NAME` (`openai=https://api.openai.com/v1/moderations` and `WEIR_MODERATION_KEY_OPENAI`). Others are never called.",
  OTEL_EXPORTER_OTLP_ENDPOINT:
    "The base URL of an OpenTelemetry collector (`http://collector:4318`): traces and logs go to `v1/traces` and `v1/logs` below it.",
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "The whole URL for traces, in place of that.",
  OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "The whole URL for logs, in place of that.",
  OTEL_EXPORTER_OTLP_HEADERS: "`name=value` pairs, separated by commas, sent with each request.",
  OTEL_EXPORTER_OTLP_TIMEOUT: "For one request, in milliseconds; 10000.",
  OTEL_EXPORTER_OTLP_PROTOCOL: "`http/protobuf`, which is the default; others are refused.",
  OTEL_SERVICE_NAME: "`service.name` of what is sent; `weir`.",
  OTEL_RESOURCE_ATTRIBUTES: "More attributes of the resource, as `name=value` pairs.",
  OTEL_SDK_DISABLED: "`true`: nothing is sent by OTLP.",
  WEIR_LEDGER_DIRECTORY: "Where the embedded ledger lives; one process per directory.",
};

/** Of the demo. */
export const DEMO_ENVIRONMENT: Record<string, string> = {
  WEIR_PORT: "The proxy's port; 8080.",
  WEIR_SIDECAR_PORT: "The sidecar's port; 8081.",
  WEIR_POLICY: "A policy file instead of `demo/policy.yaml`. The tour is left out.",
  WEIR_UPSTREAM: "`host:port` of an LLM API instead of the mock. The tour is left out.",
  WEIR_CONCURRENCY: "Envoy's worker threads; 2.",
  ENVOY: "An Envoy binary instead of the installed one.",
  TOUR: "`0`: no tour. `once`: end after the tour, with exit status 1 when a row differs.",
};
