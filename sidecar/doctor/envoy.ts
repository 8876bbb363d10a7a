/**
 * The doctor's look at an Envoy by its admin interface: is the filter there and configured so that it can do its work. The
 * judgements are pure functions of what Envoy tells (/config_dump, /clusters, /stats/prometheus), which is only read.
 */
import metrics from "../../catalog/metrics.json" with { type: "json" };
import { type EnvoySeen, type Installed, isObject, type Loose, objects, seenIn } from "./envoy-seen.ts";
import { ask, type Finding, fail, ok, warn } from "./finding.ts";
import { bodyBytesMax, ledgerCluster, type PolicyDocument, parsePolicy, withoutSidecar } from "./policy.ts";

/**
 * Where the client's address comes from: the filter leaves out what Envoy itself appends to x-forwarded-for, and so counts
 * on it. Undefined where no connection manager is seen around the filter.
 */
function addressFinding(manager: Loose | undefined, hops: number): Finding | undefined {
  if (!manager) return undefined;
  const check = "envoy.client_address";
  const appends = manager.use_remote_address === true && manager.skip_xff_append !== true;
  const counted = Number(manager.xff_num_trusted_hops ?? 0);
  if (hops > 0 && !appends)
    return fail(
      check,
      `the policy trusts ${hops} hops and Envoy does not append to x-forwarded-for: callers can choose their address`,
      "set use_remote_address: true without skip_xff_append; or take trusted_hops out and let Envoy count (xff_num_trusted_hops)",
    );
  if (hops > 0 && counted > 0)
    return warn(
      check,
      `the policy trusts ${hops} hops and Envoy counts proxies too (xff_num_trusted_hops: ${counted})`,
      "say it in one place: take identity.trusted_hops or xff_num_trusted_hops out",
    );
  if (hops === 0 && manager.use_remote_address !== true)
    return warn(
      check,
      "Envoy takes the caller's address from x-forwarded-for: without a proxy in front, callers can choose it",
      "set use_remote_address: true, unless a proxy that appends is always in front",
    );
  return ok(
    check,
    hops > 0 ? `by x-forwarded-for, ${hops} hops deep` : "the connection's, or as Envoy counts proxies",
  );
}

/**
 * Who leaves the claims that name callers: a verifier in front of the filter. Undefined where the policy asks for none, or no
 * connection manager is seen around the filter.
 */
function tokenFinding(manager: Loose | undefined, metadata: string | undefined): Finding | undefined {
  if (!manager || metadata === undefined) return undefined;
  const check = "envoy.tokens";
  const before: unknown[] = [];
  for (const [object] of objects(manager.http_filters)) {
    const type = String(object["@type"]);
    if (type.endsWith("http.wasm.v3.Wasm")) break;
    if (type.endsWith("http.jwt_authn.v3.JwtAuthentication") && isObject(object.providers))
      before.push(...Object.values(object.providers));
  }
  if (before.some((provider) => isObject(provider) && provider.payload_in_metadata === metadata))
    return ok(check, `a verifier in front of the filter leaves claims as ${metadata}`);
  return fail(
    check,
    `the policy names callers by the claims in ${metadata}, and no jwt_authn in front of the filter leaves them there: callers with tokens get 401`,
    `put envoy.filters.http.jwt_authn before the filter, with payload_in_metadata: ${metadata} in its provider`,
  );
}

/** Whether there are requests that do not meet the filter where it is. */
function bypassFinding({ filters, disabled, turnedOff }: EnvoySeen): Finding {
  const check = "envoy.bypass";
  const off = filters.find(({ name }) => disabled.includes(name));
  if (off)
    return warn(
      check,
      `${off.name} is there with disabled: true: requests pass unchecked wherever no route turns it on`,
      "take disabled out of the http_filters entry",
    );
  const past = filters.find(({ name }) => turnedOff.includes(name));
  if (past)
    return warn(
      check,
      `a route or virtual host turns ${past.name} off: what it matches passes unchecked`,
      "take the FilterConfig with disabled: true out of its typed_per_filter_config, unless it leads to no LLM",
    );
  return ok(check, "no route turns the filter off");
}

/** Whether Envoy holds headers, and the policy wants it. */
function headersFinding(isHeld: boolean, isWanted: boolean): Finding {
  const check = "envoy.hold_headers";
  if (isWanted && isHeld) return ok(check, "request headers wait for the verdict on the body");
  if (isWanted)
    return fail(
      check,
      "the policy holds headers and Envoy was not told to allow it: every request with a body hangs",
      "set allow_on_headers_stop_iteration: true beside root_id (Envoy 1.35 and later), or hold_headers: false in the policy",
    );
  if (isHeld)
    return warn(
      check,
      "Envoy could hold headers and the policy says hold_headers: false: upstreams may see headers of refused requests",
      "take hold_headers out of the policy",
    );
  return ok(check, "request headers are not held, as the policy says");
}

function failureFinding(policy: string): Finding {
  const check = "envoy.failure_policy";
  if (policy === "FAIL_RELOAD") return ok(check, "a trap fails the request closed");
  if (policy === "FAIL_OPEN")
    return fail(
      check,
      "if the filter cannot run, requests pass unchecked",
      "set failure_policy: FAIL_RELOAD, and take fail_open out",
    );
  return warn(
    check,
    `${policy}: after a trap a worker refuses everything until Envoy is restarted`,
    "set failure_policy: FAIL_RELOAD",
  );
}

/** Undefined where the filter is in no listener that is seen. */
function bufferFinding(bytes: number | undefined, largest: number): Finding | undefined {
  const check = "envoy.buffer";
  if (bytes === undefined) return undefined;
  if (bytes >= largest) return ok(check, `buffers ${bytes} bytes, bodies have at most ${largest}`);
  return fail(
    check,
    `the listener buffers ${bytes} bytes and the policy lets bodies of ${largest} in: Envoy answers 413 itself between`,
    `set per_connection_buffer_limit_bytes of the listener to more than ${largest}, or lower prompt.max_bytes`,
  );
}

/** A filter's own settings, against what the policy in it asks for. */
export function filterFindings(filter: Installed, policy: PolicyDocument): Finding[] {
  return [
    headersFinding(filter.holdsHeaders, policy.hold_headers !== false),
    failureFinding(filter.failurePolicy),
    addressFinding(filter.manager, policy.identity?.trusted_hops ?? 0),
    tokenFinding(filter.manager, policy.identity?.claims?.metadata),
    bufferFinding(filter.bufferBytes, bodyBytesMax(policy)),
  ].filter((finding) => finding !== undefined);
}

const isUnhealthy = ({ health_status: health }: Loose): boolean => {
  const { eds_health_status: eds, ...failed } = (health ?? {}) as Loose;
  return (eds !== undefined && eds !== "HEALTHY") || Object.values(failed).includes(true);
};

/** Whether the cluster is there and leads somewhere; `harm` is what happens while it does not. */
function endpointsFinding(name: string, status: Loose | undefined, harm: string): Finding {
  const check = "envoy.cluster";
  if (!status)
    return fail(
      check,
      `there is no cluster ${name}: ${harm}`,
      `add a cluster ${name} that leads to the sidecar, or name yours in ledger.cluster`,
    );
  const hosts = (status.host_statuses as Loose[] | undefined) ?? [];
  const bad = hosts.filter(isUnhealthy).length;
  if (hosts.length === 0)
    return fail(
      check,
      `${name} has no endpoint: ${harm}`,
      "does its host name resolve, and are there sidecars behind it?",
    );
  if (bad === hosts.length)
    return fail(
      check,
      `no endpoint of ${name} is healthy: ${harm}`,
      "look at the sidecars: curl -i SIDECAR/healthz",
    );
  if (bad > 0)
    return warn(
      check,
      `${bad} of ${hosts.length} endpoints of ${name} are not healthy`,
      "look at these sidecars",
    );
  return ok(check, `${name} has ${hosts.length} healthy endpoint${hosts.length > 1 ? "s" : ""}`);
}

/** The cluster that leads to the sidecar. */
export function clusterFindings(seen: EnvoySeen, policy: PolicyDocument): Finding[] {
  const name = ledgerCluster(policy);
  const harm = withoutSidecar(policy).join(", ");
  if (harm === "")
    return [ok("envoy.cluster", "the policy has no budgets, rules or events, so no sidecar is needed")];
  const findings = [
    endpointsFinding(
      name,
      seen.clusterStatuses.find((one) => one.name === name),
      harm,
    ),
  ];
  const cluster = seen.clusters.find((one) => one.name === name);
  if (cluster && JSON.stringify(cluster).includes("http2_protocol_options"))
    findings.push(
      warn(
        "envoy.cluster_protocol",
        `${name} speaks HTTP/2: it works, but each call costs the sidecar several times as much`,
        "take http2_protocol_options out of the cluster: the filter's calls are small and seldom",
      ),
    );
  return findings;
}

/** Counters of trouble, by name, with what it means when they are not 0. */
const TROUBLE: Record<string, string> = {
  weir_ledger_failures_total: "calls to the ledger had no answer",
  weir_unbudgeted_total: "requests passed without a reservation",
  weir_untracked_total: "usage of such requests could not be remembered",
  weir_lost_reports_total: "usage reports were refused for good",
  weir_unsettled_total: "reservations could not be settled",
  envoy_wasm_weir_vm_reload_success: "the filter trapped and was started anew",
  envoy_wasm_weir_vm_reload_failure: "the filter trapped and could not be started anew",
};

function sumOf(stats: string, name: string): number {
  return [...stats.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, "gm"))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

function statsFindings({ stats, statsTags }: EnvoySeen): Finding[] {
  if (!/^weir_/m.test(stats))
    return [
      fail(
        "envoy.running",
        "the filter is configured but counts nothing: it did not start",
        "look for lines that begin with weir: in Envoy's log; weir check says what is wrong with a policy",
      ),
    ];
  const findings = [ok("envoy.running", "the filter runs and counts")];
  const wanted = [...new Set(metrics.flatMap(({ labels }) => labels))];
  const missing = wanted.filter((label) => !statsTags.includes(label));
  if (missing.length > 0)
    findings.push(
      warn(
        "envoy.stats_tags",
        `no stats_tags for ${missing.join(", ")}: dashboard and alerts find no labels`,
        "copy stats_config from the end of envoy/weir.yaml into the bootstrap",
      ),
    );
  else findings.push(ok("envoy.stats_tags", "names of metrics are turned into labels"));
  const trouble = Object.entries(TROUBLE).flatMap(([name, what]) => {
    const count = sumOf(stats, name);
    return count > 0 ? [`${what} (${name} ${count})`] : [];
  });
  if (trouble.length > 0)
    findings.push(
      warn(
        "envoy.counters",
        `since this Envoy started ${trouble.join("; ")}`,
        'if they still grow, look into docs/operations.md, "What is broken?"',
      ),
    );
  else findings.push(ok("envoy.counters", "no counter of trouble has moved since this Envoy started"));
  return findings;
}

export interface EnvoyExamined {
  readonly findings: Finding[];
  /** The policies that it serves with: several, if its listeners have different ones. */
  readonly policies?: readonly string[];
}

/** `problemsOf` is the filter's own judgement of a policy. */
export async function examineEnvoy(
  admin: string,
  timeoutMs: number,
  problemsOf: (policy: string) => string[],
): Promise<EnvoyExamined> {
  const pages = [];
  for (const path of ["/config_dump?include_eds", "/clusters?format=json", "/stats/prometheus"]) {
    const asked = await ask(admin + path, timeoutMs);
    if (asked.failure !== undefined || !asked.response.ok) {
      const what = asked.failure ?? `${path} answers ${asked.response.status}`;
      const fix = "give the address of Envoy's admin interface (admin.address of its configuration)";
      return { findings: [fail("envoy.reachable", `${admin}: ${what}`, fix)] };
    }
    pages.push(asked.text);
  }
  const [dump = "", clusters = "", stats = ""] = pages;
  const seen = seenIn(dump, clusters, stats);
  if (!seen) {
    const fix = "give the address of Envoy's admin interface (admin.address of its configuration)";
    return { findings: [fail("envoy.reachable", `${admin} is no Envoy's admin interface`, fix)] };
  }
  const findings = [ok("envoy.reachable", `${admin} answers`)];
  if (seen.filters.length === 0) {
    const fix = "add it before the router, as in envoy/weir.yaml; was the listener refused? Envoy's log says";
    return { findings: [...findings, fail("envoy.filter", "no listener has the filter", fix)] };
  }
  const places = seen.filters.map(({ listener }) => listener || "ECDS");
  findings.push(ok("envoy.filter", `the filter is in ${[...new Set(places)].join(", ")}`));
  findings.push(bypassFinding(seen), ...statsFindings(seen));
  const policies = [...new Set(seen.filters.map(({ configuration }) => configuration))];
  for (const text of policies) {
    const problems = problemsOf(text);
    if (problems.length > 0)
      findings.push(
        fail("envoy.policy", `the policy in it is refused: ${problems[0]}`, "weir check, then deploy again"),
      );
  }
  for (const filter of seen.filters) {
    const policy = parsePolicy(filter.configuration);
    if (policy) findings.push(...filterFindings(filter, policy), ...clusterFindings(seen, policy));
  }
  return { findings: unique(findings), policies };
}

/** Several filters with the same finding have it once. */
function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}
