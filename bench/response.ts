// Processor time of Envoy per event of a streamed answer: bare, with Weir reading usage and hiding the extra event, and
// with Weir redacting as well; and the time to the first event. Bare is an Envoy of its own, the others are callers of one, as what
// processes alike differ by is more than what is looked for. They are measured in turn, round by round. Every stream is checked. Streams are of four kinds: events that come one by one, as models write them; the same
// eight to a write; one by one with a padding, as OpenAI sends them; and events that differ from each other in members that
// nobody knows. Of the rounds the least
// counts: what else runs on the machine only adds.
//
//   npx tsx bench/response.ts [--rounds 7] [--streams 40] [--events 300] [--connections 12]      WEIR_WASM: another build of the filter
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSidecar } from "../sidecar/server.ts";
import { makeSettings } from "../sidecar/settings.ts";
import { each, entry, listen, post, startVariant, stopVariant, type Variant } from "./load.ts";
import { cpuMicros, median, optionsOf, printTable, record } from "./measure.ts";
import { without } from "./without.ts";

const {
  rounds: ROUNDS,
  streams: STREAMS,
  events: EVENTS,
  connections: CONNECTIONS,
} = optionsOf({ rounds: 7, streams: 40, events: 300, connections: 12 });
/** Between two events of a stream, so that each reaches Envoy by itself. */
const EVENT_MS = 1;
const types = ["email", "phone", "credit_card", "iban", "us_ssn", "ip", "api_key", "private_key", "jwt"];
const limits = { requests: "1M/s", prompt: { injection: "off" } };
const budgets = { ...limits, tokens: "1000G/month" };
const tiers = {
  unread: limits,
  counted: budgets,
  redacted: { ...budgets, response: { redact: types } },
};
type Tier = keyof typeof tiers;
const keys = (Object.keys(tiers) as Tier[]).map((tier) => entry(tier, `bench/team/${tier}`, tier));

const WORDS =
  "the river carries water from the mountains to the sea and nobody who builds beside it forgets".split(" ");
const event = (i: number, more: object) => {
  const choices = [
    { index: 0, delta: { content: ` ${WORDS[i % WORDS.length]}` }, logprobs: null, finish_reason: null },
  ];
  const chunk = {
    id: "chatcmpl-bench",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "gpt-4o",
  };
  return `data: ${JSON.stringify({ ...chunk, system_fingerprint: "fp_1", choices, ...more })}\n\n`;
};
const ending = [
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\n`,
  `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 10, completion_tokens: EVENTS, total_tokens: EVENTS + 10 } })}\n\n`,
  "data: [DONE]\n\n",
];
/** What is written at a time. */
const writes = (more: (i: number) => object, together: number) => {
  const all = [...Array.from({ length: EVENTS }, (_, i) => event(i, more(i))), ...ending];
  return Array.from({ length: Math.ceil(all.length / together) }, (_, i) =>
    all.slice(i * together, (i + 1) * together).join(""),
  );
};
const kinds = {
  "one by one": writes(() => ({}), 1),
  "eight to a write": writes(() => ({}), 8),
  padded: writes((i) => ({ obfuscation: `a${i * 7919}` }), 1),
  "all different": writes((i) => ({ marker: `a${i * 7919}` }), 1),
};
type Kind = keyof typeof kinds;
const content = Array.from({ length: EVENTS }, (_, i) => ` ${WORDS[i % WORDS.length]}`).join("");

interface Measured {
  name: string;
  variant: Variant;
  /** Who asks. */
  key: Tier;
  /** By kind, one number a round. */
  micros: Record<Kind, number[]>;
  firsts: Record<Kind, number[]>;
}
const least = (values: number[]) => Math.min(...values);
const KINDS = Object.keys(kinds) as Kind[];
const none = () => Object.fromEntries(KINDS.map((kind) => [kind, [] as number[]])) as Record<Kind, number[]>;

const upstream = await listen((incoming, response) => {
  incoming.resume();
  incoming.on("end", async () => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const bytes of kinds[incoming.headers["x-kind"] as Kind]) {
      response.write(bytes);
      await new Promise((resolve) => setTimeout(resolve, EVENT_MS));
    }
    response.end();
  });
});

const request = JSON.stringify({
  model: "gpt-4o",
  stream: true,
  messages: [{ role: "user", content: "hi" }],
});

/** One stream; the milliseconds to its first event. Throws when its text is not the upstream's. */
async function stream({ variant, key, name }: Measured, kind: Kind): Promise<number> {
  const { text, firstMs } = await post(variant, request, { key, headers: { "x-kind": kind } });
  const seen = [...text.matchAll(/"content":"([^"]*)"/g)].map(([, part]) => part).join("");
  if (seen !== content) throw new Error(`${name}: not the text that was sent`);
  return firstMs;
}

async function round(measured: Measured, kind: Kind, streams: number): Promise<void> {
  const pid = measured.variant.envoy.process.pid as number;
  const before = cpuMicros(pid);
  const firsts: number[] = [];
  await each(streams, CONNECTIONS, async () => firsts.push(await stream(measured, kind)));
  measured.micros[kind].push((cpuMicros(pid) - before) / streams / (EVENTS + ending.length));
  measured.firsts[kind].push(median(firsts));
}

const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
const sidecar = await startSidecar(makeSettings({ port: 0, ledger: { kind: "embedded", directory } }));
const wasm = process.env.WEIR_WASM;
const options = {
  ...{ policy: { tiers, keys }, upstreamPort: upstream.port, sidecarPort: sidecar.port },
  ...(wasm && { wasm }),
};
const variants: Variant[] = [];
const start = async (name: string, more: { edit?: typeof without } = {}) => {
  const variant = await startVariant(name, { ...options, ...more }, CONNECTIONS);
  variants.push(variant);
  return variant;
};
try {
  const bare = await start("bare", { edit: without });
  const weir = await start("weir");
  const all: Measured[] = [
    { name: "bare", variant: bare, key: "unread", micros: none(), firsts: none() },
    { name: "answer not read", variant: weir, key: "unread", micros: none(), firsts: none() },
    { name: "usage read and hidden", variant: weir, key: "counted", micros: none(), firsts: none() },
    {
      name: "usage, and nine types redacted",
      variant: weir,
      key: "redacted",
      micros: none(),
      firsts: none(),
    },
  ];
  // The first round warms up.
  for (let i = 0; i <= ROUNDS; i++) {
    for (const kind of KINDS) for (const measured of all) await round(measured, kind, STREAMS);
    if (i === 0) for (const measured of all) Object.assign(measured, { micros: none(), firsts: none() });
  }
  const floor = (all[0] as Measured).micros;
  const rows = KINDS.flatMap((kind) =>
    all.map(({ name, micros, firsts }) => ({
      events: kind,
      envoy: name,
      "CPU µs/event": least(micros[kind]).toFixed(2),
      "over bare": (least(micros[kind]) - least(floor[kind])).toFixed(2),
      "first event ms": least(firsts[kind]).toFixed(2),
    })),
  );
  printTable(rows);
  record("response", rows);
} finally {
  for (const variant of variants) await stopVariant(variant);
  await sidecar.close();
  upstream.close();
  rmSync(directory, { recursive: true, force: true });
}
