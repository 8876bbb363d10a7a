/**
 * A finished Envoy configuration on stdout, out of envoy/weir.yaml or envoy/weir-no-hold.yaml: for Compose, virtual
 * machines and whoever runs Envoy without Kubernetes. The policy decides which of the two: hold_headers.
 *
 *   npx tsx deploy/envoy-config.ts --policy FILE --wasm PATH --upstream HOST:PORT --sidecar HOST:PORT
 *                                  [--listen ADDRESS:PORT] [--admin-port PORT]
 *
 * The policy is one that the filter of dist/ takes. The upstream is spoken to in plain HTTP: for one behind TLS, such as a
 * provider's own API, put a `transport_socket` with an UpstreamTlsContext, and the rewrite of `host`, into what comes out.
 * PATH is where Envoy finds the filter. --listen is 127.0.0.1:8080 unless given; the admin interface stays on loopback.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { checkPolicy } from "../sidecar/cli/check.ts";
import { authorityOf, integerOf, pipedOutput } from "../sidecar/cli/usage.ts";
import {
  bufferBytes,
  CLUSTER_DEFAULT,
  ledgerCluster,
  type PolicyDocument,
} from "../sidecar/doctor/policy.ts";
import { runScript } from "./run-script.ts";

const root = new URL("../", import.meta.url);

export interface EnvoyConfigOptions {
  readonly policy: PolicyDocument & { readonly hold_headers?: boolean };
  readonly wasm: string;
  /** host:port, each. */
  readonly upstream: string;
  readonly sidecar: string;
  readonly listen: string;
  readonly adminPort: number;
}

/** Host and port; an IPv6 address without its brackets, as Envoy wants it. Throws with the option's name. */
function address(option: string, text: string): [string, string] {
  const colon = authorityOf(option, text).lastIndexOf(":");
  return [text.slice(0, colon).replace(/^\[|\]$/g, ""), String(Number(text.slice(colon + 1)))];
}

/** The configuration as YAML. */
export function envoyConfig(options: EnvoyConfigOptions): string {
  const [listenHost, port] = address("--listen", options.listen);
  const [upstreamHost, upstreamPort] = address("--upstream", options.upstream);
  const [sidecarHost, sidecarPort] = address("--sidecar", options.sidecar);
  const cluster = ledgerCluster(options.policy);
  // Both files have no other for it.
  if (cluster !== CLUSTER_DEFAULT)
    throw new Error(
      `/ledger/cluster: ${JSON.stringify(cluster)}: expected ${CLUSTER_DEFAULT}, which leads to --sidecar`,
    );
  const file = options.policy.hold_headers === false ? "weir-no-hold.yaml" : "weir.yaml";
  const values: Record<string, string> = {
    PORT: port,
    ADMIN_PORT: String(options.adminPort),
    // It stands in quotation marks there.
    WASM: JSON.stringify(options.wasm).slice(1, -1),
    POLICY: JSON.stringify(JSON.stringify(options.policy)),
    UPSTREAM_HOST: upstreamHost,
    UPSTREAM_PORT: upstreamPort,
    SIDECAR_HOST: sidecarHost,
    SIDECAR_PORT: sidecarPort,
  };
  const template = readFileSync(new URL(`envoy/${file}`, root), "utf8").replace(/^#.*\n/gm, "");
  const filled = template.replace(/\$\{([A-Z_]+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`envoy/${file} wants ${name}, which this script does not know`);
    return value;
  });
  const buffering = filled.replace(
    /(per_connection_buffer_limit_bytes: )\d+/,
    (_, before: string) => `${before}${bufferBytes(options.policy)}`,
  );
  // The listener comes after the admin interface, which stays on loopback.
  return buffering.replace(
    /(listeners:\n\s+- name: llm\n\s+address: \{ socket_address: \{ address: )127\.0\.0\.1/,
    (_, before: string) => `${before}"${listenHost}"`,
  );
}

function main(): void {
  const { values } = parseArgs({
    options: {
      policy: { type: "string" },
      wasm: { type: "string" },
      upstream: { type: "string" },
      sidecar: { type: "string" },
      listen: { type: "string", default: "127.0.0.1:8080" },
      "admin-port": { type: "string", default: "9901" },
    },
  });
  const { policy, wasm, upstream, sidecar, listen } = values;
  if (!policy || !wasm || !upstream || !sidecar)
    throw new Error(
      "expected --policy FILE --wasm PATH --upstream HOST:PORT --sidecar HOST:PORT [--listen ADDRESS:PORT] [--admin-port PORT]",
    );
  const adminPort = integerOf("--admin-port", values["admin-port"], 1, 65_535);
  const { policy: text, problems } = checkPolicy(policy);
  if (problems.length > 0) throw new Error(problems.join("; "));
  const read = JSON.parse(text) as EnvoyConfigOptions["policy"];
  pipedOutput().write(envoyConfig({ policy: read, wasm, upstream, sidecar, listen, adminPort }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) runScript("envoy-config", main);
