// `weir serve`: the filter in the Node host, as a gateway for development. Never for production: one thread, no
// limits on connections but Node's own, and a restart forgets local limits. A policy's own rules are compiled in this process, so
// that they need no sidecar.
import { parseArgs } from "node:util";
import { httpCallouts } from "../../host/callouts.ts";
import { serve } from "../../host/node-server.ts";
import { controlCallouts } from "../control/callouts.ts";
import { problemsOf } from "./check.ts";
import { filterBytes } from "./filter.ts";
import { readPolicy } from "./policy-file.ts";

const USAGE = "usage: weir serve --policy FILE --upstream HOST:PORT [--port 8080] [--sidecar HOST:PORT]";

export async function serveCommand(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      policy: { type: "string" },
      upstream: { type: "string" },
      port: { type: "string", default: "8080" },
      sidecar: { type: "string", default: "127.0.0.1:8081" },
    },
  });
  if (!values.policy || !values.upstream) {
    console.error(USAGE);
    return 2;
  }
  const wasm = filterBytes();
  const policy = readPolicy(values.policy);
  const problems = problemsOf(policy, wasm);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) return 1;
  const gateway = await serve({
    wasm,
    policy,
    upstream: values.upstream,
    port: Number(values.port),
    clusters: { weir_sidecar: values.sidecar },
    callouts: controlCallouts(httpCallouts({ weir_sidecar: values.sidecar })),
    bodyBufferBytes: 4 << 20,
    log: (_level, text) => console.error(text),
  });
  console.log(`weir: ready http://127.0.0.1:${gateway.port}`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  await gateway.close();
  return 0;
}
