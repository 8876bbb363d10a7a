// Drives the redactor's leaf module from tests, the fuzzer and the benchmark.
import { type LeafOptions, leaf } from "../../support/leaf.ts";

export const TYPES = [
  "EMAIL",
  "PHONE",
  "CREDIT_CARD",
  "IBAN",
  "US_SSN",
  "IP",
  "API_KEY",
  "PRIVATE_KEY",
  "JWT",
  "CUSTOM",
  "CANARY",
] as const;
export type TypeName = (typeof TYPES)[number];

export const ACTIONS = {
  ignore: 0,
  flag: 1,
  redact: 2,
  mask: 3,
  hash: 4,
  block: 5,
  reversible: 6,
} as const;
export type ActionName = keyof typeof ACTIONS;

export interface Found {
  /** Byte offsets. */
  start: number;
  end: number;
  type: TypeName;
  text: string;
}

export interface FeedOptions {
  action?: ActionName;
  /** Differs from `action` for these types. */
  actions?: Partial<Record<TypeName, ActionName>>;
  escaped?: boolean;
  /** What is fed is the inside of a JSON string that holds JSON. */
  nested?: boolean;
}

const SPANS_MAX = 1 << 16;

export async function redactor(scalar = false, textMax = 1 << 20, options: LeafOptions = {}) {
  const module = await leaf("test/assembly/redact/redact.entry.ts", { ...options, scalar });
  const { exports, reserve, write } = module;
  const input = reserve(textMax + 64);
  const spanList = reserve(12 * SPANS_MAX);
  const profile = reserve(16);
  const answer = reserve(exports.sizes(0));
  const channel = reserve(exports.sizes(1));
  const outputMax = 8 * textMax + 16384;
  const output = reserve(outputMax);

  /** Every span in a whole text. */
  function spans(text: string | Uint8Array): Found[] {
    const bytes = Buffer.from(text as string);
    write(input, bytes);
    const n = exports.spans(input, bytes.length, spanList, SPANS_MAX);
    const list = new Uint32Array(module.memory.buffer, spanList, 3 * n);
    return Array.from({ length: n }, (_, i) => {
      const [start, end, type] = [list[3 * i] ?? 0, list[3 * i + 1] ?? 0, list[3 * i + 2] ?? 0];
      return { start, end, type: TYPES[type] ?? "EMAIL", text: bytes.subarray(start, end).toString() };
    });
  }

  function open(options: FeedOptions = {}): void {
    const actions = TYPES.map((type) => ACTIONS[options.actions?.[type] ?? options.action ?? "redact"]);
    write(profile, Uint8Array.from(actions));
    exports.openAnswer(answer, profile, 0);
    exports.openRedactor(channel, answer, options.nested ? 2 : options.escaped ? 1 : 0);
  }

  /** Feeds one piece to the open channel; gives what came out. */
  function feed(piece: Uint8Array, last: boolean): Buffer {
    write(input, piece);
    exports.setOutput(output, outputMax);
    const taken = exports.feed(channel, input, piece.length, last ? 1 : 0);
    if (taken !== piece.length || exports.overflowed()) throw new Error(`took ${taken} of ${piece.length}`);
    return Buffer.from(module.read(output, (exports.written() >>> 0) - output));
  }

  /** Feeds up to `len` bytes that are at `input` already, into whatever output is set. */
  function feedSome(len: number, last: boolean): { taken: number; out: string } {
    const taken: number = exports.feed(channel, input, len, last ? 1 : 0);
    return { taken, out: Buffer.from(module.read(output, (exports.written() >>> 0) - output)).toString() };
  }

  /** As `feedSome`, but leaves the output where it is. */
  const feedRaw = (len: number, last = true): number => exports.feed(channel, input, len, last ? 1 : 0);

  /** The redaction of `text` fed in pieces that end at `cuts`. */
  function redact(text: string | Uint8Array, options: FeedOptions = {}, cuts: number[] = []): string {
    const bytes = Buffer.from(text as string);
    open(options);
    const parts: Buffer[] = [];
    let from = 0;
    for (const cut of cuts) {
      parts.push(feed(bytes.subarray(from, cut), false));
      from = cut;
    }
    parts.push(feed(bytes.subarray(from), true));
    return Buffer.concat(parts).toString();
  }

  const one = reserve(12);
  const work = reserve(textMax + 64);
  /** The redaction of `text` as a prompt's, which is there whole. */
  function redactWhole(text: Uint8Array, options: FeedOptions = {}): string {
    open(options);
    write(input, text);
    write(one, new Uint8Array(Uint32Array.of(0, text.length, options.escaped ? 1 : 0).buffer));
    const to: bigint = exports.whole(answer, input, text.length, one, 1, work, output, outputMax);
    return Buffer.from(module.read(Number(to >> 32n), Number(to & 0xffffffffn))).toString();
  }

  return {
    ...module,
    redactWhole,
    input,
    output,
    spans,
    open,
    feed,
    feedSome,
    feedRaw,
    redact,
    held: () => exports.heldIn(channel) as number,
    blockedBy: () => TYPES[exports.blockedBy(answer)],
    countOf: (type: TypeName) => exports.countOf(answer, TYPES.indexOf(type)) as number,
    phrase(text: string, type: "CUSTOM" | "CANARY", action: ActionName = "redact"): boolean {
      const bytes = Buffer.from(text);
      write(input, bytes);
      return exports.phrase(input, bytes.length, TYPES.indexOf(type), ACTIONS[action]) !== 0;
    },
  };
}
