// envoyproxy/ratelimit as a rival: its server on a Redis, and an Envoy configuration that limits tokens with it in the
// way its own documentation and gateways built on it do: the request asks with zero hits, and the answer's tokens are
// added when the stream is done. (Nothing is reserved, so requests in flight are not seen by those that come meanwhile.)
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { type Child, freePort, root, start, until } from "../../demo/processes.ts";

const BINARY = join(root, ".tools/bin/ratelimit");
const DOMAIN = "llm";

/** Builds it once where Go is present; false, said on stderr, where it is not. */
export function hasRatelimit(): boolean {
  spawnSync("bash", [join(root, "scripts/bench-tools.sh")], { stdio: ["ignore", "inherit", "inherit"] });
  return existsSync(BINARY);
}

export interface Ratelimit {
  readonly child: Child;
  /** Of its gRPC service. */
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts the server with one limit for each value of `subject`. */
export async function startRatelimit(
  redisUrl: string,
  limit: { unit: "hour" | "month"; perUnit: number },
): Promise<Ratelimit> {
  const directory = mkdtempSync(join(tmpdir(), "weir-ratelimit-"));
  mkdirSync(join(directory, "config"));
  const descriptors = [
    { key: "subject", rate_limit: { unit: limit.unit, requests_per_unit: limit.perUnit } },
  ];
  writeFileSync(join(directory, "config/llm.yaml"), stringify({ domain: DOMAIN, descriptors }));
  const [port, http, debug] = [await freePort(), await freePort(), await freePort()];
  const child = start(BINARY, [], {
    env: {
      ...{ USE_STATSD: "false", LOG_LEVEL: "error", BACKEND_TYPE: "redis", REDIS_SOCKET_TYPE: "tcp" },
      ...{ REDIS_URL: new URL(redisUrl).host, RUNTIME_ROOT: directory, RUNTIME_SUBDIRECTORY: "" },
      ...{ RUNTIME_WATCH_ROOT: "false", HOST: "127.0.0.1", GRPC_HOST: "127.0.0.1", DEBUG_HOST: "127.0.0.1" },
      ...{ PORT: String(http), GRPC_PORT: String(port), DEBUG_PORT: String(debug) },
    },
  });
  const stop = async () => {
    await child.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  const healthy = async () => (await fetch(`http://127.0.0.1:${http}/healthcheck`)).ok;
  await until("ratelimit", healthy).catch(async (error: Error) => {
    await stop();
    throw new Error(`${error.message}\n${child.output().slice(-2000)}`);
  });
  return { child, port, stop };
}

/** Envoy's configuration with the rate limit filter in the place of Weir's. */
export function withRatelimit(text: string, port: number): string {
  const config = parse(text);
  const manager = config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
  const router = manager.http_filters.at(-1);
  const type = "type.googleapis.com/envoy.extensions.filters.http";
  manager.http_filters = [
    {
      name: "envoy.filters.http.ratelimit",
      typed_config: {
        "@type": `${type}.ratelimit.v3.RateLimit`,
        ...{ domain: DOMAIN, failure_mode_deny: true, timeout: "2s" },
        rate_limit_service: {
          grpc_service: { envoy_grpc: { cluster_name: "ratelimit" } },
          transport_api_version: "V3",
        },
      },
    },
    {
      name: "envoy.filters.http.header_to_metadata",
      typed_config: {
        "@type": `${type}.header_to_metadata.v3.Config`,
        response_rules: [
          {
            header: "x-tokens",
            on_header_present: { metadata_namespace: DOMAIN, key: "tokens", type: "NUMBER" },
          },
        ],
      },
    },
    router,
  ];
  const subject = { request_headers: { header_name: "authorization", descriptor_key: "subject" } };
  const tokens = `%DYNAMIC_METADATA(${DOMAIN}:tokens)%`;
  // Only here, and not among the virtual host's own rate limits, does Envoy heed `hits_addend`.
  manager.route_config.virtual_hosts[0].typed_per_filter_config = {
    "envoy.filters.http.ratelimit": {
      "@type": `${type}.ratelimit.v3.RateLimitPerRoute`,
      rate_limits: [
        { actions: [subject], hits_addend: { number: 0 } },
        { actions: [subject], hits_addend: { format: tokens }, apply_on_stream_done: true },
      ],
    },
  };
  const address = { socket_address: { address: "127.0.0.1", port_value: port } };
  config.static_resources.clusters.push({
    name: "ratelimit",
    connect_timeout: "1s",
    type: "STATIC",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: "ratelimit",
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
  });
  return stringify(config);
}
