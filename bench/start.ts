// What the filter costs before the first request: bytes of the module, how long Envoy takes until it is ready, and the memory
// of its process; bare, with the filter without vocabularies, and with the whole one. Started in turn, round by round, so
// that what the machine does meanwhile falls on each alike. Each must answer a request as it should.
//
//   npx tsx bench/start.ts [--rounds 5]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { startMockLlm } from "../demo/mock-llm.ts";
import { freePort, root, startEnvoy } from "../demo/processes.ts";
import { build } from "../scripts/build.ts";
import { median, optionsOf, printTable, record } from "./measure.ts";
import { without } from "./without.ts";

interface Variant {
  name: string;
  wasm?: string;
  /** Of an empty prompt: the filter is there, or it is not. */
  status: number;
  readyMs: number[];
  memoryKb: number[];
}

const { rounds } = optionsOf({ rounds: 5 });
await build({ serving: true, small: true });
await build({ serving: true });
const variants: Variant[] = [
  { name: "bare Envoy", status: 200, readyMs: [], memoryKb: [] },
  { name: "weir-small.wasm", wasm: "dist/weir-small.wasm", status: 422, readyMs: [], memoryKb: [] },
  { name: "weir.wasm", wasm: "dist/weir.wasm", status: 422, readyMs: [], memoryKb: [] },
];
const llm = await startMockLlm();
const sidecarPort = await freePort();

async function measure(variant: Variant): Promise<void> {
  const begun = performance.now();
  const envoy = await startEnvoy({
    policy: { tiers: { anonymous: {} } },
    upstreamPort: llm.port,
    sidecarPort,
    concurrency: 1,
    ...(variant.wasm ? { wasm: join(root, variant.wasm) } : { edit: without }),
  });
  variant.readyMs.push(performance.now() - begun);
  try {
    const body = JSON.stringify({ model: "mock-1", messages: [{ role: "user", content: "" }] });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${envoy.url}/v1/chat/completions`, { method: "POST", headers, body });
    if (answer.status !== variant.status)
      throw new Error(`${variant.name} answers ${answer.status}: expected ${variant.status}`);
    const status = readFileSync(`/proc/${envoy.process.pid}/status`, "utf8");
    variant.memoryKb.push(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]));
  } finally {
    await envoy.stop();
  }
}

for (let round = 0; round < rounds; round++) for (const variant of variants) await measure(variant);
await llm.close();

const bare = variants[0] as Variant;
const rows = variants.map(({ name, wasm, readyMs, memoryKb }) => {
  const bytes = wasm ? readFileSync(join(root, wasm)) : undefined;
  return {
    filter: name,
    "module MB": bytes ? (bytes.length / 1e6).toFixed(2) : "",
    "gzipped MB": bytes ? (gzipSync(bytes).length / 1e6).toFixed(2) : "",
    "ready after ms": Math.round(median(readyMs)),
    "of bare": (median(readyMs) / median(bare.readyMs)).toFixed(1),
    "memory MB": Math.round(median(memoryKb) / 1e3),
  };
});
printTable(rows);
record("start", rows);
