/**
 * The doctor's look at a sidecar: does it answer, does its store, does it speak the ledger's protocol as a proxy speaks
 * it, does it take the admin token. Nothing is changed.
 */
import { WeirError } from "../errors.ts";
import { remoteBooks } from "../ledger/remote-books.ts";
import { ask, clockFinding, type Finding, fail, ok, warn } from "./finding.ts";

export interface SidecarOptions {
  readonly url: string;
  readonly timeoutMs: number;
  /** Empty: not given. */
  readonly adminToken: string;
}

/** One frame with an empty message: a Settle without reports. */
const EMPTY_FRAME = new Uint8Array(5);

/** Which ledger and version, from the metrics, and whether it may forget; empty without them. */
async function storeOf({ url, timeoutMs }: SidecarOptions): Promise<{ store: string; forgets: boolean }> {
  const asked = await ask(`${url}/metrics`, timeoutMs);
  const text = asked.failure === undefined ? asked.text : "";
  const [, version, ledger] = /^weir_sidecar_info\{version="([^"]*)",ledger="([^"]*)"\} 1$/m.exec(text) ?? [];
  return {
    store: version && ledger ? `${ledger} ledger, version ${version}` : "",
    forgets: /^weir_sidecar_redis_forgets 1$/m.test(text),
  };
}

async function protocolFinding({ url, timeoutMs }: SidecarOptions): Promise<Finding> {
  const check = "sidecar.protocol";
  const asked = await ask(`${url}/weir.v1.Ledger/Settle`, timeoutMs, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
    body: EMPTY_FRAME,
  });
  const fix = "is this the sidecar's own port, and no proxy that changes gRPC-Web between?";
  if (asked.failure !== undefined) return fail(check, `a call to the ledger: ${asked.failure}`, fix);
  const status = /grpc-status: ?(\d+)/.exec(asked.text)?.[1];
  if (asked.response.ok && status === "0") return ok(check, "speaks the ledger's protocol");
  const said = status === undefined ? `HTTP ${asked.response.status}` : `grpc-status ${status}`;
  return fail(check, `a call to the ledger was answered with ${said}`, fix);
}

async function adminFinding({ url, adminToken }: SidecarOptions): Promise<Finding> {
  const check = "sidecar.admin";
  try {
    const { length } = await remoteBooks(url, adminToken).organisations();
    return ok(check, `takes the admin token; ${length} organisations have budgets`);
  } catch (thrown) {
    const { code, message } = WeirError.from(thrown);
    // Who has another token is refused before anything is looked up.
    const fix =
      code === "invalid_argument"
        ? "set the same WEIR_ADMIN_TOKEN here and where the sidecar runs"
        : "mend the store behind the sidecar (sidecar.store), then ask again";
    return fail(check, message, fix);
  }
}

export async function examineSidecar(options: SidecarOptions): Promise<Finding[]> {
  const asked = await ask(`${options.url}/healthz`, options.timeoutMs);
  if (asked.failure !== undefined) {
    const fix = "start it (weir sidecar), or mend address, network policy or mesh between here and there";
    return [fail("sidecar.reachable", `${options.url}: ${asked.failure}`, fix)];
  }
  const { status } = asked.response;
  const known =
    (status === 200 && asked.text.startsWith("ok")) || (status === 503 && asked.text.includes("ledger"));
  if (!known) {
    const fix = "give the sidecar's own address: WEIR_SIDECAR_HOST and WEIR_SIDECAR_PORT of where it runs";
    return [fail("sidecar.reachable", `${options.url}/healthz answers ${status}: not a sidecar`, fix)];
  }
  const findings = [ok("sidecar.reachable", `${options.url} answers`)];
  const { store, forgets } = await storeOf(options);
  if (status === 503) {
    const fix =
      "look at the sidecar's log: Redis cannot be reached from it or refuses (the code is there), or a write failed (then mend the disk and restart it)";
    findings.push(fail("sidecar.store", `the store behind it does not answer${store && ` (${store})`}`, fix));
  } else if (asked.text !== "ok\n") {
    const fix =
      "look at the nodes of the Redis Cluster; the sidecar's log has the addresses of those that are away";
    findings.push(fail("sidecar.store", asked.text.trim().replace(/^ok, but /, ""), fix));
  } else findings.push(ok("sidecar.store", `its store answers${store && ` (${store})`}`));
  if (store === "")
    findings.push(
      warn("sidecar.metrics", "/metrics does not say what it is", "run sidecar and doctor of one version"),
    );
  if (forgets)
    findings.push(
      warn(
        "sidecar.eviction",
        "its Redis may forget budgets when its memory is full, and they would count as unused: maxmemory-policy is not noeviction",
        "set maxmemory-policy noeviction in Redis, on each node of a cluster (CONFIG SET, and its file; of a managed one its parameters)",
      ),
    );
  findings.push(await protocolFinding(options));
  if (options.adminToken !== "") findings.push(await adminFinding(options));
  const clock = clockFinding("sidecar.clock", "the sidecar", asked);
  return clock ? [...findings, clock] : findings;
}
