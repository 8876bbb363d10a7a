/**
 * The Envoy configurations that the chart's manifests become: what a controller (Istio's, Envoy Gateway's) makes of
 * EnvoyFilter, EnvoyPatchPolicy, EnvoyExtensionPolicy and EnvoyProxy, reduced to the operations that the chart uses. An
 * operation that is not known here fails, it is not passed over.
 */
import { parse } from "yaml";
import { type Loose, type Manifest, only } from "./chart.ts";

const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.${name}`;
const MANAGER = type("network.http_connection_manager.v3.HttpConnectionManager");

/** A gateway without Weir: one listener that routes everything to one upstream. */
function gateway(): Loose {
  const router = {
    name: "envoy.filters.http.router",
    typed_config: { "@type": type("http.router.v3.Router") },
  };
  const manager = {
    "@type": MANAGER,
    stat_prefix: "gateway",
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "llm" } }] },
      ],
    },
    http_filters: [router],
  };
  const filter = { name: "envoy.filters.network.http_connection_manager", typed_config: manager };
  return {
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: 9901 } } },
    static_resources: {
      listeners: [
        {
          name: "gateway",
          address: { socket_address: { address: "0.0.0.0", port_value: 8080 } },
          filter_chains: [{ filters: [filter] }],
        },
      ],
      clusters: [
        {
          name: "llm",
          type: "STRICT_DNS",
          connect_timeout: "1s",
          load_assignment: {
            cluster_name: "llm",
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: { socket_address: { address: "llm.example", port_value: 80 } } } },
                ],
              },
            ],
          },
        },
      ],
    },
  };
}

/** As protobuf merges: maps by key, lists are appended, the rest is replaced. */
function merge(into: Loose, from: Loose): void {
  for (const [key, value] of Object.entries(from)) {
    const now = into[key];
    if (Array.isArray(now) && Array.isArray(value)) now.push(...value);
    else if (now && value && typeof now === "object" && typeof value === "object") merge(now, value);
    else into[key] = value;
  }
}

/** The plain Envoy's configuration, as its pod reads it. */
export const plain = (all: readonly Manifest[]): Loose =>
  parse(only(all, "ConfigMap", /-envoy$/).data["envoy.yaml"]);

/** What istiod and the agent in the gateway's pod make of the EnvoyFilter. `wasm` is the file the agent has fetched. */
export function istio(all: readonly Manifest[], wasm: string): Loose {
  const config = gateway();
  const listener = config.static_resources.listeners[0];
  const manager = listener.filter_chains[0].filters[0];
  const extensions = new Map<string, Loose>();
  for (const { applyTo, patch } of structuredClone(only(all, "EnvoyFilter").spec.configPatches)) {
    const what = `${applyTo} ${patch.operation}`;
    if (what === "CLUSTER ADD") config.static_resources.clusters.push(patch.value);
    else if (what === "LISTENER MERGE") merge(listener, patch.value);
    else if (what === "NETWORK_FILTER MERGE") merge(manager, patch.value);
    else if (what === "BOOTSTRAP MERGE") merge(config, patch.value);
    else if (what === "EXTENSION_CONFIG ADD") extensions.set(patch.value.name, patch.value.typed_config);
    else if (what === "HTTP_FILTER INSERT_BEFORE") manager.typed_config.http_filters.unshift(patch.value);
    else throw new Error(`${what} is not known here`);
  }
  for (const filter of manager.typed_config.http_filters) {
    const found = filter.config_discovery && extensions.get(filter.name);
    if (filter.config_discovery && !found) throw new Error(`${filter.name} has no extension configuration`);
    if (!found) continue;
    const [type] = filter.config_discovery.type_urls;
    if (found["@type"] !== type) throw new Error(`${filter.name}: ${found["@type"]}, announced as ${type}`);
    delete filter.config_discovery;
    filter.typed_config = found;
    const { remote } = found.config.vm_config.code;
    if (!/^oci:\/\/.+/.test(remote.http_uri.uri)) throw new Error(`${remote.http_uri.uri}: expected oci://`);
    found.config.vm_config.code = { local: { filename: wasm } };
  }
  return config;
}

/** What Envoy Gateway makes of the EnvoyProxy and one of the two policies. `wasm` is the file it has fetched. */
export function envoyGateway(all: readonly Manifest[], wasm: string): Loose {
  const config = gateway();
  merge(config, parse(only(all, "EnvoyProxy").spec.bootstrap.value));
  const listener = config.static_resources.listeners[0];
  const { typed_config: manager } = listener.filter_chains[0].filters[0];
  const traffic = only(all, "ClientTrafficPolicy").spec;
  listener.per_connection_buffer_limit_bytes = traffic.connection.bufferLimit;
  manager.path_with_escaped_slashes_action = { RejectRequest: "REJECT_REQUEST" }[
    traffic.path.escapedSlashesAction as string
  ];
  if (all.some(({ kind }) => kind === "EnvoyPatchPolicy")) {
    const [patch] = structuredClone(only(all, "EnvoyPatchPolicy").spec.jsonPatches);
    const { op, jsonPath, path, value } = patch.operation;
    if (op !== "add" || jsonPath !== "..http_filters" || path !== "0")
      throw new Error(`${op} ${jsonPath} ${path} is not known here`);
    manager.http_filters.unshift(value);
    return config;
  }
  const [extension] = only(all, "EnvoyExtensionPolicy").spec.wasm;
  manager.http_filters.unshift({
    name: "envoy.filters.http.wasm/gateway/weir",
    typed_config: {
      "@type": type("http.wasm.v3.Wasm"),
      config: {
        name: extension.name,
        root_id: extension.rootID,
        fail_open: extension.failOpen,
        vm_config: {
          vm_id: "envoyextensionpolicy/gateway/weir",
          runtime: "envoy.wasm.runtime.v8",
          code: { local: { filename: wasm } },
        },
        configuration: {
          "@type": "type.googleapis.com/google.protobuf.StringValue",
          value: JSON.stringify(extension.config),
        },
      },
    },
  });
  return config;
}

export interface Places {
  readonly port: number;
  readonly adminPort: number;
  readonly statsPort: number;
  readonly upstreamPort: number;
  readonly sidecarPort: number;
  readonly wasm: string;
  /** The file that /etc/envoy/credential.yaml stands for. */
  readonly credential: string;
}

/**
 * The same configuration on this machine: ports, addresses and paths of a pod replaced by ours. Nothing else changes,
 * but that the upstream is spoken to without TLS when `startable`.
 */
export function localise(config: Loose, places: Places, startable: boolean): Loose {
  const here = structuredClone(config);
  here.admin.address.socket_address.port_value = places.adminPort;
  for (const listener of here.static_resources.listeners) {
    const { socket_address: address } = listener.address;
    address.address = "127.0.0.1";
    address.port_value = listener.name === "stats" ? places.statsPort : places.port;
    for (const filter of listener.filter_chains[0].filters[0].typed_config.http_filters) {
      const vm = filter.typed_config.config?.vm_config;
      if (vm) vm.code.local.filename = places.wasm;
      const source = filter.typed_config.credential?.typed_config.credential.sds_config.path_config_source;
      if (source) source.path = places.credential;
    }
  }
  for (const cluster of here.static_resources.clusters) {
    const address = cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address;
    if (cluster.name === "admin") address.port_value = places.adminPort;
    if (!startable) continue;
    address.address = "127.0.0.1";
    if (cluster.name === "weir_sidecar") address.port_value = places.sidecarPort;
    if (cluster.name === "llm") {
      address.port_value = places.upstreamPort;
      delete cluster.transport_socket;
    }
  }
  return here;
}
