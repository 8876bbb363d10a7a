// What reading an answer costs per SSE event. Run: npx tsx bench/usage.ts
//
// Streams of 200 events as the providers send them, in chunks of one event (the usual case behind a proxy), of 16
// KB, and of 100 bytes (every event cut). `feed` only reads; `filter` also hides the extra usage event; `pieces`
// lists the texts for redaction. Engines take turns and the best round counts, because the machine is shared. The
// answers are checked: the usage and the bytes that come out must be right.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { KINDS, usage } from "../test/assembly/usage/support.ts";

const EVENTS = 200;
const ROUNDS = 9;
const ROUND_MS = 20;

const data = (value: { type?: string }) =>
  `${value.type ? `event: ${value.type}\n` : ""}data: ${JSON.stringify(value)}\n\n`;
const openai = (choices: unknown[], usage: unknown) =>
  data({
    ...{ id: "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", object: "chat.completion.chunk", created: 1741569952 },
    ...{ model: "gpt-4o-mini-2024-07-18", service_tier: "default", system_fingerprint: "fp_44709d6fcb" },
    ...{ choices, usage },
  } as object);
const repeat = (one: string) => Array.from({ length: EVENTS }, () => one);

const streams: Record<string, { events: string[]; completion: bigint; hidden: number }> = {
  "OpenAI chat": {
    events: [
      ...repeat(
        openai([{ index: 0, delta: { content: " token" }, logprobs: null, finish_reason: null }], null),
      ),
      openai([], { prompt_tokens: 9, completion_tokens: EVENTS, total_tokens: 9 + EVENTS }),
      "data: [DONE]\n\n",
    ],
    completion: BigInt(EVENTS),
    hidden: 1,
  },
  Anthropic: {
    events: [
      ...repeat(
        data({
          type: "content_block_delta",
          index: 0,
          delta: { type: "text_delta", text: " some" },
        } as object),
      ),
      data({
        type: "message_delta",
        delta: { stop_reason: "end_turn" },
        usage: { output_tokens: 77 },
      } as object),
    ],
    completion: 77n,
    hidden: 0,
  },
  Responses: {
    events: [
      ...repeat(
        data({
          ...{
            type: "response.output_text.delta",
            sequence_number: 7,
            item_id: "msg_68af4030baa48193b0b43b4c2a176a1a",
          },
          ...{ output_index: 0, content_index: 0, delta: " word", logprobs: [], obfuscation: "vLOzr0QOgL" },
        }),
      ),
      data({ type: "response.completed", response: { usage: { output_tokens: 33 } } } as object),
    ],
    completion: 33n,
    hidden: 0,
  },
};

const builds = { SIMD: await usage(), scalar: await usage(true) };

function chunksOf(events: string[], size: number): Buffer[] {
  if (size === 0) return events.map((event) => Buffer.from(event));
  const body = Buffer.from(events.join(""));
  return Array.from({ length: Math.ceil(body.length / size) }, (_, i) =>
    body.subarray(i * size, (i + 1) * size),
  );
}

type Build = (typeof builds)["SIMD"];

/** Runs one stream whole. The chunks lie in memory; `filter` rewrites only the last, which is written anew. */
function engine(build: Build, mode: string, chunks: Buffer[], completion: bigint, length: number) {
  const { exports, reserve, write } = build;
  const places = chunks.map((chunk) => {
    const at = reserve(chunk.length);
    write(at, chunk);
    return at;
  });
  return () => {
    const handle = exports.openAnswer(KINDS.events);
    let out = 0;
    for (let i = 0; i < chunks.length; i++) {
      const at = places[i] ?? 0;
      const size = chunks[i]?.length ?? 0;
      const last = i === chunks.length - 1 ? 1 : 0;
      if (mode === "feed") exports.feedBytes(handle, at, size, last);
      else if (mode === "filter") out += Number(exports.filterBytes(handle, at, size, last) & 0xffffffffn);
      else {
        exports.piecesOf(handle, at, size, last);
        while (exports.nextPiece());
      }
    }
    assert.equal(exports.completionTokens(handle), completion);
    if (mode === "filter") assert.equal(out, length);
    exports.closeAnswer(handle);
  };
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
};

/** The best CPU time of one run in ms: on a busy machine wall time says little. */
function best(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const from = cpuMs();
    let runs = 0;
    do {
      for (let i = 0; i < 10; i++) run();
      runs += 10;
    } while (cpuMs() - from < ROUND_MS);
    least = Math.min(least, (cpuMs() - from) / runs);
  }
  return least;
}

/** ns per event and MB/s of every stream, chunking, mode and build. */
export function measure(): Record<string, Record<string, number>> {
  const table: Record<string, Record<string, number>> = {};
  for (const [name, { events, completion, hidden }] of Object.entries(streams)) {
    const length = events.join("").length;
    const extra = hidden ? (events.at(-2)?.length ?? 0) : 0;
    for (const [label, size] of Object.entries({ "1 event": 0, "16 KB": 16384, "100 bytes": 100 })) {
      const row: Record<string, number> = {};
      for (const [build, module] of Object.entries(builds)) {
        for (const mode of ["feed", "filter", "pieces"]) {
          if (mode === "filter" && size === 16384) continue; // it moves bytes within the chunk, which is used again
          const run = engine(module, mode, chunksOf(events, size), completion, length - extra);
          const ms = best(run);
          row[`${build} ${mode} ns`] = Math.round((ms * 1e6) / events.length);
          if (mode === "feed") row[`${build} feed MB/s`] = Math.round(length / 1e3 / ms);
        }
      }
      table[`${name}, ${Math.round(length / events.length)} B, by ${label}`] = row;
    }
  }
  return table;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log("per event, best of rounds");
  console.table(measure());
}
