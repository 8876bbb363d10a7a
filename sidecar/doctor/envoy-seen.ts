/**
 * What the doctor reads of an Envoy's admin interface (/config_dump, /clusters, /stats/prometheus): where the filter is, and what
 * of Envoy's configuration its work depends on. What it means is judged in envoy.ts.
 */
import { parsePolicy } from "./policy.ts";

/** Parts of Envoy's JSON; any member may be missing. */
export type Loose = { readonly [name: string]: unknown };

/** The filter as it is configured in one place. */
export interface Installed {
  /** As the connection manager calls it, and routes that change it. */
  readonly name: string;
  /** Of the listener it is in; empty where it came on its own (ECDS). */
  readonly listener: string;
  readonly bufferBytes: number | undefined;
  readonly holdsHeaders: boolean;
  readonly failurePolicy: string;
  /** Of the connection manager it is in. */
  readonly manager: Loose | undefined;
  /** As JSON text. */
  readonly configuration: string;
}

export interface EnvoySeen {
  readonly filters: readonly Installed[];
  /** Names of filters that run only where a route turns them on. */
  readonly disabled: readonly string[];
  /** Names of filters that a route, or what is around it, turns off. */
  readonly turnedOff: readonly string[];
  readonly statsTags: readonly string[];
  readonly clusters: readonly Loose[];
  readonly clusterStatuses: readonly Loose[];
  readonly stats: string;
}

/** What Envoy takes where a listener does not say. */
const BUFFER_BYTES_DEFAULT = 1 << 20;

export const isObject = (value: unknown): value is Loose => typeof value === "object" && value !== null;

/** What an object is inside of, at the closest. */
interface Around {
  readonly listener?: Loose;
  readonly manager?: Loose;
  /** What has a name and settings of a type, such as a filter. */
  readonly extension?: Loose;
}

/** Every object inside `value`, with the listener, the HTTP connection manager and the extension around it. */
export function* objects(value: unknown, around: Around = {}): Generator<[Loose, Around]> {
  if (!isObject(value)) return;
  const inside = {
    ...around,
    ...(("filter_chains" in value || "default_filter_chain" in value) && { listener: value }),
    ...("http_filters" in value && { manager: value }),
    ...("typed_config" in value && { extension: value }),
  };
  yield [value, inside];
  for (const child of Object.values(value)) yield* objects(child, inside);
}

function installedIn(object: Loose, { listener, manager, extension }: Around): Installed | undefined {
  if (!String(object["@type"]).endsWith("http.wasm.v3.Wasm") || !isObject(object.config)) return undefined;
  const config = object.config;
  const given = isObject(config.configuration) ? config.configuration.value : undefined;
  const configuration = typeof given === "string" ? given : JSON.stringify(given ?? null);
  if (config.name !== "weir" && config.root_id !== "weir" && !parsePolicy(configuration)) return undefined;
  const bytes = listener?.per_connection_buffer_limit_bytes;
  return {
    name: String(extension?.name ?? ""),
    listener: String(listener?.name ?? ""),
    bufferBytes: listener ? (typeof bytes === "number" ? bytes : BUFFER_BYTES_DEFAULT) : undefined,
    holdsHeaders: config.allow_on_headers_stop_iteration === true,
    failurePolicy: config.fail_open === true ? "FAIL_OPEN" : String(config.failure_policy ?? "UNSPECIFIED"),
    manager,
    configuration,
  };
}

/** The filters that an object of a route configuration turns off. */
function turnedOffIn({ typed_per_filter_config: settings }: Loose): string[] {
  if (!isObject(settings)) return [];
  const off = (one: unknown) =>
    isObject(one) && String(one["@type"]).endsWith("route.v3.FilterConfig") && one.disabled === true;
  return Object.keys(settings).filter((name) => off(settings[name]));
}

/** The filters of a connection manager, also those that come on their own (ECDS), that are there and do not run. */
function disabledIn({ http_filters: filters }: Loose): string[] {
  if (!Array.isArray(filters)) return [];
  return filters.flatMap((one: unknown) =>
    isObject(one) && one.disabled === true ? [String(one.name)] : [],
  );
}

/** Reads what Envoy told. */
export function readEnvoy(configDump: unknown, clusters: unknown, stats: string): EnvoySeen {
  const all = [...objects(configDump)];
  const bootstrap = all.find(([object]) => isObject(object.bootstrap))?.[0].bootstrap as Loose | undefined;
  const tags = isObject(bootstrap?.stats_config) ? bootstrap.stats_config.stats_tags : undefined;
  return {
    filters: all.flatMap(([object, around]) => installedIn(object, around) ?? []),
    disabled: all.flatMap(([object]) => disabledIn(object)),
    turnedOff: all.flatMap(([object]) => turnedOffIn(object)),
    statsTags: (Array.isArray(tags) ? tags : []).map((tag: Loose) => String(tag.tag_name)),
    clusters: all
      .filter(([object]) => String(object["@type"]).endsWith("cluster.v3.Cluster"))
      .map(([one]) => one),
    clusterStatuses:
      (isObject(clusters) ? (clusters.cluster_statuses as Loose[] | undefined) : undefined) ?? [],
    stats,
  };
}

/** What the three pages say; undefined if they are not Envoy's. */
export function seenIn(dump: string, clusters: string, stats: string): EnvoySeen | undefined {
  try {
    const config = JSON.parse(dump) as { configs?: unknown } | null;
    return Array.isArray(config?.configs) ? readEnvoy(config, JSON.parse(clusters), stats) : undefined;
  } catch {
    return undefined;
  }
}
