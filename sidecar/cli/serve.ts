// `weir serve`: the filter in the Node host, as a gateway for development. Never for production: one thread, no
// limits on connections but Node's own, and a restart forgets local limits. A policy's own rules are compiled in this process, so
// that they need no sidecar.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { httpCallouts } from "../../host/callouts.ts";
import { type Gateway, serve } from "../../host/node-server.ts";
import type { Vm } from "../../host/vm.ts";
import { controlCallouts } from "../control/callouts.ts";
import { bufferBytes } from "../doctor/policy.ts";
import { systemReason, WeirError } from "../errors.ts";
import { checkPolicy } from "./check.ts";
import { filterBytes } from "./filter.ts";
import { authorityOf, integerOf, runsUnread, UsageError } from "./usage.ts";

const ADDRESS = "127.0.0.1";
const LEASES_BACK_MS = 8_000;
const LOOK_MS = 50;

export const USAGE = `usage: weir serve --policy FILE --upstream HOST:PORT [--port 8080] [--sidecar HOST:PORT]

  --policy FILE          in YAML or JSON
  --upstream HOST:PORT   of the LLM API, which is asked over plain HTTP
  --port PORT            to listen on, at ${ADDRESS} (8080); 0 takes a free one
  --sidecar HOST:PORT    for budgets and events (127.0.0.1:8081); it may be away

Runs until SIGINT or SIGTERM, and then until its leases are back at the ledger, at most 8 s; a second signal ends it at once. For
development: a production's proxy is Envoy or Kong.

exit status: 0 ended by a signal, 1 the policy is refused or the port taken, 2 wrong usage`;

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      policy: { type: "string" },
      upstream: { type: "string" },
      port: { type: "string", default: "8080" },
      sidecar: { type: "string", default: "127.0.0.1:8081" },
    },
  });
  if (!values.policy) throw new UsageError("--policy is missing");
  if (!values.upstream) throw new UsageError("--upstream is missing");
  const upstream = authorityOf("--upstream", values.upstream);
  const sidecar = authorityOf("--sidecar", values.sidecar);
  const port = integerOf("--port", values.port, 0, 65_535);
  const wasm = filterBytes();
  const { policy, problems } = checkPolicy(values.policy, wasm);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) return 1;
  runsUnread();
  let gateway: Gateway;
  try {
    gateway = await serve({
      wasm,
      policy,
      upstream,
      port,
      address: ADDRESS,
      clusters: { weir_sidecar: sidecar },
      callouts: controlCallouts(httpCallouts({ weir_sidecar: sidecar })),
      bodyBufferBytes: bufferBytes(JSON.parse(policy)),
      log: (_level, text) => console.error(text),
    });
  } catch (thrown) {
    const { syscall } = thrown as { syscall?: string };
    if (syscall !== "listen") throw thrown;
    throw new WeirError(
      "unavailable",
      `cannot listen on ${ADDRESS}:${port}: ${systemReason(thrown)}`,
      thrown,
    );
  }
  console.log(`weir: ready http://${ADDRESS}:${gateway.port}`);
  const told = new AbortController();
  await Promise.race(["SIGINT", "SIGTERM"].map((name) => once(process, name, { signal: told.signal })));
  // The next signal is Node's again, and ends the process.
  told.abort();
  await gateway.stop();
  await leasesBack(gateway.vm);
  await gateway.close();
  return 0;
}

/**
 * Lets the filter give back the leases that it holds, as the ledger charges one that ends unreported whole. Unused ones go back
 * after some seconds, by ticks; a sidecar that is away is waited for no longer than that.
 */
async function leasesBack(vm: Vm): Promise<void> {
  const end = Date.now() + LEASES_BACK_MS;
  // The gauge is as old as the last tick.
  vm.tick();
  while (vm.metrics.value("weir_leases_held") > 0 && Date.now() < end) await sleep(LOOK_MS);
}
