// Drives the usage reader's leaf module from tests, the fuzzer and the benchmark.
import { type LeafOptions, leaf } from "../../support/leaf.ts";

export const KINDS = { json: 0, events: 1, lines: 2 } as const;
export type KindName = keyof typeof KINDS;

export interface Reading {
  prompt: number;
  completion: number;
  cached: number;
  cacheWrite: number;
  cacheWriteHour: number;
  reasoning: number;
  seen: boolean;
  finished: boolean;
  failed: boolean;
  mislabelled: boolean;
  model: string;
  textBytes: number;
  deltas: number;
  estimate: number;
  unreadable: number;
}

export interface Texts {
  /** Deltas by channel, "kind:major:minor", as JSON strings decode. */
  texts: Record<string, string>;
  /** Texts that are complete in themselves. */
  whole: string[];
  /** Channels that ended. */
  ends: string[];
  /** The pieces, one after the other. */
  bytes: Buffer;
  pieces: number;
}

const BEGINS = 1;
const ENDS = 2;
const WHOLE = 4;

export async function usage(scalar = false, chunkMax = 1 << 20, options: LeafOptions = {}) {
  const module = await leaf("test/assembly/usage/usage.entry.ts", { ...options, scalar });
  const { exports, reserve, write } = module;
  const input = reserve(chunkMax);

  const bytesOf = (s: bigint) => Buffer.from(module.read(Number(s >> 32n), Number(s & 0xffffffffn)));

  function reading(handle: number): Reading {
    return {
      prompt: Number(exports.promptTokens(handle)),
      completion: Number(exports.completionTokens(handle)),
      cached: Number(exports.cachedTokens(handle)),
      cacheWrite: Number(exports.cacheWriteTokens(handle)),
      cacheWriteHour: Number(exports.cacheWriteHourTokens(handle)),
      reasoning: Number(exports.reasoningTokens(handle)),
      seen: exports.seen(handle) !== 0,
      finished: exports.finished(handle) !== 0,
      failed: exports.failed(handle) !== 0,
      mislabelled: exports.isMislabelled(handle) !== 0,
      model: bytesOf(exports.model(handle)).toString(),
      textBytes: Number(exports.textBytes(handle)),
      deltas: Number(exports.textDeltas(handle)),
      estimate: Number(exports.outputTokensEstimate(handle)),
      unreadable: exports.unreadable(handle) >>> 0,
    };
  }

  /** Calls `step` with each of the pieces that end at `cuts`, and with the rest. */
  function inPieces(body: Uint8Array, cuts: number[], step: (len: number, last: boolean) => void): void {
    let from = 0;
    for (const [i, cut] of [...cuts, body.length].entries()) {
      write(input, body.subarray(from, cut));
      step(cut - from, i === cuts.length);
      from = cut;
    }
  }

  function opened<T>(kind: KindName, use: (handle: number) => T): T {
    const handle = exports.openAnswer(KINDS[kind]);
    try {
      return use(handle);
    } finally {
      exports.closeAnswer(handle);
    }
  }

  return {
    ...module,
    input,
    bytesOf,
    reading,

    /** What `feed` reads. */
    read: (kind: KindName, body: Uint8Array, cuts: number[] = []): Reading =>
      opened(kind, (handle) => {
        inPieces(body, cuts, (len, last) => exports.feedBytes(handle, input, len, last ? 1 : 0));
        return reading(handle);
      }),

    /** What `filter` reads, and what it lets through. */
    filter: (kind: KindName, body: Uint8Array, cuts: number[] = []): { read: Reading; out: Buffer } =>
      opened(kind, (handle) => {
        const out: Buffer[] = [];
        inPieces(body, cuts, (len, last) => {
          out.push(bytesOf(exports.filterBytes(handle, input, len, last ? 1 : 0)));
        });
        return { read: reading(handle), out: Buffer.concat(out) };
      }),

    /** What the pieces and the spans in them say. */
    texts: (kind: KindName, body: Uint8Array, cuts: number[] = []): { read: Reading; texts: Texts } =>
      opened(kind, (handle) => {
        const result: Texts = { texts: {}, whole: [], ends: [], bytes: Buffer.alloc(0), pieces: 0 };
        const bytes: Buffer[] = [];
        const parts = new Map<string, Buffer[]>();
        let whole: Buffer[] = [];
        const text = (list: Buffer[]) => JSON.parse(`"${Buffer.concat(list).toString()}"`) as string;
        inPieces(body, cuts, (len, last) => {
          exports.piecesOf(handle, input, len, last ? 1 : 0);
          while (exports.nextPiece()) {
            bytes.push(bytesOf(exports.piece()));
            result.pieces++;
            for (let i = 0; i < exports.spans(); i++) {
              const channel = exports.spanChannel(i) >>> 0;
              const flags = exports.spanFlags(i);
              const from = exports.spanFrom(i) >>> 0;
              const part = Buffer.from(module.read(from, (exports.spanTo(i) >>> 0) - from));
              const indices = `${(channel >>> 14) & 0x3fff}:${channel & 0x3fff}`;
              const name = `${channel >>> 28}:${indices}`;
              if (channel >>> 28 === 0) result.ends.push(indices);
              else if (flags & WHOLE) {
                if (flags & BEGINS) whole = [];
                whole.push(part);
                if (flags & ENDS) {
                  result.whole.push(text(whole));
                  whole = [];
                }
              } else parts.set(name, [...(parts.get(name) ?? []), part]);
            }
          }
        });
        if (whole.length) result.whole.push(text(whole));
        result.texts = Object.fromEntries([...parts].map(([name, list]) => [name, text(list)]));
        result.bytes = Buffer.concat(bytes);
        return { read: reading(handle), texts: result };
      }),
  };
}
