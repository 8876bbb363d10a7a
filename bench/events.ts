// What events cost a request: processor time of real Envoy with a token budget, without events and with them, measured in
// turn, round by round; and the host calls that they add, counted in the Node host. Checks that every answer is 200 and
// that the sidecar gets an event of each.
//
//   npx tsx bench/events.ts [--rounds 7] [--requests 1500]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../demo/processes.ts";
import { openEvents } from "../sidecar/events/open.ts";
import { EVENTS_DEFAULTS } from "../sidecar/events/settings.ts";
import { makeMetrics } from "../sidecar/metrics.ts";
import { startSidecar } from "../sidecar/server.ts";
import { makeSettings } from "../sidecar/settings.ts";
import { edgeWithEvents } from "../test/events/support.ts";
import { chat } from "../test/support/filter.ts";
import { entry, KEY, sendAll, startUpstream, startVariant, stopVariant, type Variant } from "./load.ts";
import { median, optionsOf, printTable, record } from "./measure.ts";

const TRACE = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
const ANSWER_BYTES = 2_048;
const base = {
  tiers: { pro: { requests: "1M/s", tokens: "1000G/month" } },
  prices: { "gpt-4o": { prompt: "$2", completion: "$10" } },
  keys: [entry(KEY, "bench/team/key", "pro")],
};
const POLICIES: Record<string, object> = {
  "no events": base,
  events: { ...base, events: {} },
  "events with texts": { ...base, events: { text: true } },
};
const body = JSON.stringify(
  chat("Why does a river carry more water in spring? ".repeat(20), { max_tokens: 100 }),
);
const answer = {
  id: "chatcmpl-1",
  model: "gpt-4o",
  choices: [
    { index: 0, message: { role: "assistant", content: "w".repeat(ANSWER_BYTES) }, finish_reason: "stop" },
  ],
  usage: { prompt_tokens: 200, completion_tokens: 500, total_tokens: 700 },
};
const answerText = JSON.stringify(answer);

interface Measured extends Variant {
  /** Of Envoy's processor time for each request, one number a round. */
  readonly micros: number[];
}

/** Host calls of one request from a lease at hand, by name. */
async function hostCalls(policy: object): Promise<Map<string, number>> {
  const calls = new Map<string, number>();
  let counting = false;
  const counted = (imports: WebAssembly.Imports): WebAssembly.Imports =>
    Object.fromEntries(
      Object.entries(imports).map(([module, functions]) => [
        module,
        Object.fromEntries(
          Object.entries(functions).map(([name, call]) => [
            name,
            (...args: unknown[]) => {
              if (counting) calls.set(name, (calls.get(name) ?? 0) + 1);
              return (call as (...args: unknown[]) => unknown)(...args);
            },
          ]),
        ),
      ]),
    );
  const Instance = WebAssembly.Instance;
  WebAssembly.Instance = class extends Instance {
    constructor(module: WebAssembly.Module, imports: WebAssembly.Imports = {}) {
      super(module, counted(imports));
    }
  };
  try {
    const { edge } = await edgeWithEvents("envoy", { events: undefined, ...policy });
    const call = {
      key: KEY,
      body,
      upstream: () => ({ status: 200, headers: { "content-type": "application/json" }, body: answerText }),
    };
    for (let i = 0; i < 3; i++) await edge.send(call);
    counting = true;
    await edge.send(call);
    counting = false;
  } finally {
    WebAssembly.Instance = Instance;
  }
  return calls;
}

const total = (calls: Map<string, number>) => [...calls.values()].reduce((sum, n) => sum + n, 0);

async function bench(rounds: number, requests: number): Promise<void> {
  const upstream = await startUpstream(answer);
  const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const { registry } = makeMetrics("embedded");
  const arrived = async () =>
    Number((await registry.metrics()).match(/weir_sidecar_events_total\{outcome="taken"\} (\d+)/)?.[1]);
  const part = await openEvents(EVENTS_DEFAULTS, { registry });
  const settings = makeSettings({ port: 0, ledger: { kind: "embedded", directory } });
  const sidecar = await startSidecar(settings, part.extensions);
  const variants: Measured[] = [];
  try {
    for (const [name, policy] of Object.entries(POLICIES)) {
      const options = { upstreamPort: upstream.port, sidecarPort: sidecar.port, policy };
      variants.push({ ...(await startVariant(name, options)), micros: [] });
    }
    const round = (variant: Variant, times: number) =>
      sendAll(variant, Array<string>(times).fill(body), { headers: TRACE });
    const warm = Math.ceil(requests / 3);
    for (const variant of variants) await round(variant, warm);
    for (let i = 0; i < rounds; i++)
      for (const variant of variants) variant.micros.push(await round(variant, requests));
    const expected = (variants.length - 1) * (warm + rounds * requests);
    await until(`${expected} events`, async () => (await arrived()) === expected);
    const without = variants[0]!;
    const counts: Map<string, number>[] = [];
    for (const policy of Object.values(POLICIES)) counts.push(await hostCalls(policy));
    const rows = variants.map(({ name, micros }, i) => ({
      policy: name,
      "CPU µs/request": median(micros).toFixed(1),
      "over none": median(micros.map((value, n) => value - without.micros[n]!)).toFixed(1),
      "host calls": total(counts[i]!),
      "more of them": [...counts[i]!]
        .map(([call, n]) => [call, n - (counts[0]!.get(call) ?? 0)] as const)
        .filter(([, more]) => more !== 0)
        .map(([call, more]) => `${call.replace("proxy_", "")} ${more}`)
        .join(", "),
    }));
    console.log(
      `a request of ${body.length} bytes, an answer of ${answerText.length} bytes; ${expected} events, as many as requests\n`,
    );
    printTable(rows);
    record("events", rows);
  } finally {
    for (const variant of variants) await stopVariant(variant);
    await sidecar.close();
    await part.close();
    upstream.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const { rounds, requests } = optionsOf({ rounds: 7, requests: 1500 });
await bench(rounds, requests);
