// Processor time per request of Envoy: bare, with a module that makes Weir's host calls and nothing else, with Weir (with
// local limits; with a budget of requests on top, which needs nothing of the answer; with a budget of tokens, for which the
// answer's usage is read), with a Lua filter that looks up a key and searches for a keyword, and with a module that does nothing, for
// bodies of 1 KB and 32 KB. All run at once and are measured in turn, in many short rounds, so that
// what the machine does meanwhile falls on each alike. What a budget adds comes with the interval in which its median lies 19
// times in 20. Every answer is checked, and every text is new, so that Weir's memo
// of inspected texts helps nobody.
//
//   npx tsx bench/envoy.ts [--rounds 60] [--requests 250]
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EnvoyOptions } from "../demo/processes.ts";
import { startSidecar } from "../sidecar/server.ts";
import { makeSettings } from "../sidecar/settings.ts";
import { compile } from "../test/support/leaf.ts";
import { openInspector } from "./inspector.ts";
import { entry, KEY, sendAll, startUpstream, startVariant, stopVariant, type Variant } from "./load.ts";
import { median, medianInterval, optionsOf, printTable, record } from "./measure.ts";
import { chatBodies, chatTexts } from "./texts.ts";
import { without } from "./without.ts";

// Callers of one Envoy, so that what a budget adds is not drowned by what processes alike differ by.
const keys = ["pro", "counted", "budgeted"].map((tier) =>
  entry(tier === "pro" ? KEY : tier, `bench/team/${tier}`, tier),
);

// What looks like an attack to nearly the last is inspected like the rest; a refusal would end the run.
const limits = { requests: "1M/s", prompt: { threshold: 1000 } };
const policy = {
  tiers: {
    pro: limits,
    counted: { ...limits, budgets: [{ meter: "requests", limit: "1000G", window: "month" }] },
    budgeted: { ...limits, tokens: "1000G/month" },
  },
  keys,
};
const plain = { tiers: { pro: { ...limits, prompt: { injection: "off" } } }, keys: keys.slice(0, 1) };

const LUA = `
                  - name: envoy.filters.http.lua
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
                      default_source_code:
                        inline_string: |
                          local keys = { ["Bearer ${KEY}"] = true }
                          function envoy_on_request(handle)
                            if not keys[handle:headers():get("authorization")] then
                              handle:respond({[":status"] = "401"}, "no")
                              return
                            end
                            local body = handle:body()
                            if body and string.find(string.lower(body:getBytes(0, body:length())), "ignore previous instructions", 1, true) then
                              handle:respond({[":status"] = "403"}, "no")
                            end
                          end
`;
const lua = (text: string) =>
  without(text).replace(
    "                  - name: envoy.filters.http.router",
    `${LUA.slice(1)}                  - name: envoy.filters.http.router`,
  );

/** Requests of each size to each Envoy before anything is measured. */
const WARM_UPS = 4500;
/** Stands in every message for the number of the request, so that no text is one that was inspected before. */
const FRESH = "@@@@@@@@ ";
/** Bytes of a body. */
const SIZES = [1024, 32 << 10];
/** Chats that take turns. */
const BODIES_MAX = 64;

/** Processes of each contestant, which take turns: two alike may differ by some microseconds all their life. */
const COPIES = 2;

type Ports = Required<Pick<EnvoyOptions, "upstreamPort" | "sidecarPort">>;

interface Measured {
  name: string;
  copies: Variant[];
  /** Who sends. */
  key: string;
  /** CPU time per request of each round, by size of body. */
  micros: Map<number, number[]>;
}

let serial = 0;

const rotated = (list: readonly number[], by: number) =>
  list.map((_, i) => list[(i + by) % list.length] as number);

/** `requests` chats out of `bodies`, each with a number of its own. */
const chats = (bodies: string[], requests: number) =>
  Array.from({ length: requests }, (_, i) =>
    (bodies[i % bodies.length] as string).replaceAll(
      FRESH,
      `${String(serial++).padStart(FRESH.length - 1, "0")} `,
    ),
  );

/** Starts the contestants into `started`, so that what runs can be stopped whatever fails. Those of one Envoy share its processes. */
async function startAll(started: Measured[], ports: Ports, directory: string): Promise<void> {
  const module = async (name: string) => {
    const file = join(directory, `${name}.wasm`);
    writeFileSync(file, await compile(`test/assembly/${name}.entry.ts`, { args: ["--use", "abort="] }));
    return file;
  };
  const start = async (name: string, options: Omit<EnvoyOptions, keyof Ports>): Promise<Variant[]> => {
    const copies: Variant[] = [];
    started.push({ name, copies, key: KEY, micros: new Map() });
    for (let i = 0; i < COPIES; i++) copies.push(await startVariant(name, { ...ports, ...options }));
    return copies;
  };
  await start("bare", { policy, edit: without });
  await start("host calls alone", { policy, wasm: await module("host-calls") });
  await start("weir, inspection off", { policy: plain });
  const copies = await start("weir", { policy });
  started.push({ name: "weir with a request budget", copies, key: "counted", micros: new Map() });
  started.push({ name: "weir with a token budget", copies, key: "budgeted", micros: new Map() });
  await start("lua", { policy, edit: lua });
  await start("a module that does nothing", { policy, wasm: await module("no-calls") });
}

/** Sends `requests` chats a turn, in `rounds` rounds, and notes what each contestant needed of them. */
async function measure(
  variants: Measured[],
  bodies: Map<number, string[]>,
  rounds: number,
  requests: number,
): Promise<void> {
  // Warms up: V8 compiles what is hot once more, and the budget's lease grows to many requests.
  for (const list of bodies.values())
    for (const { copies, key } of variants)
      for (const copy of copies) await sendAll(copy, chats(list, WARM_UPS), { key });
  for (let i = 0; i < rounds; i++) {
    // Before each of the callers of one Envoy another Envoy has its turn, each in turn: all find the processor's caches as cold.
    const before = rotated([0, 2, 1], i);
    const callers = rotated([3, 4, 5], Math.floor(i / 3));
    const turns = [...before.flatMap((other, n) => [other, callers[n] as number]), 6, 7].map(
      (n) => variants[n] as Measured,
    );
    for (const [size, list] of bodies) {
      for (const variant of turns) {
        const copy = variant.copies[i % COPIES] as Variant;
        const micros = await sendAll(copy, chats(list, requests), { key: variant.key });
        variant.micros.set(size, [...(variant.micros.get(size) ?? []), micros]);
      }
    }
  }
}

/** Of each round what `a` needed more than `b`. */
const differences = (a: Measured, b: Measured, size: number) =>
  (a.micros.get(size) as number[]).map((value, i) => value - (b.micros.get(size) as number[])[i]!);

/** What each needs, and over the first, which is bare. */
function costs(variants: Measured[], size: number) {
  const [bare] = variants as [Measured];
  const needs = (variant: Measured) => median(variant.micros.get(size) as number[]);
  return variants.map((variant) => ({
    body: `${size >> 10} KB`,
    envoy: variant.name,
    "CPU µs/request": needs(variant).toFixed(1),
    "over bare": median(differences(variant, bare, size)).toFixed(1),
    "ratio to bare": (needs(variant) / needs(bare)).toFixed(2),
  }));
}

/** What budgets add to local limits alone. */
function additions(variants: Measured[], size: number) {
  const [, , , limited, byRequests, byTokens] = variants as Measured[] & Record<3 | 4 | 5, Measured>;
  const over = (budgeted: Measured) => {
    const all = differences(budgeted, limited, size);
    const [low, high] = medianInterval(all);
    return `${median(all).toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`;
  };
  return {
    body: `${size >> 10} KB`,
    "request budget over limits, µs": over(byRequests),
    "token budget over limits, µs": over(byTokens),
  };
}

async function bench(rounds: number, requests: number): Promise<void> {
  const { passes } = await openInspector(1 << 18);
  const { texts, from } = chatTexts(passes);
  const upstream = await startUpstream({
    choices: [],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  });
  const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const sidecar = await startSidecar(makeSettings({ port: 0, ledger: { kind: "embedded", directory } }));
  const variants: Measured[] = [];
  try {
    await startAll(variants, { upstreamPort: upstream.port, sidecarPort: sidecar.port }, directory);
    const bodies = new Map(SIZES.map((size) => [size, chatBodies(texts, size, BODIES_MAX, FRESH)]));
    await measure(variants, bodies, rounds, requests);
  } finally {
    for (const copy of new Set(variants.flatMap(({ copies }) => copies))) await stopVariant(copy);
    await sidecar.close();
    upstream.close();
    rmSync(directory, { recursive: true, force: true });
  }
  const rows = SIZES.flatMap((size) => costs(variants, size));
  console.log(`texts: ${from}; bare, this machine needs ${rows[0]?.["CPU µs/request"]} µs for 1 KB`);
  printTable(rows);
  const budgets = SIZES.map((size) => additions(variants, size));
  printTable(budgets);
  record("envoy", [...rows, ...budgets]);
}

const { rounds, requests } = optionsOf({ rounds: 60, requests: 250 });
await bench(rounds, requests);
