// The judge with its memo and the committed packs, for tests and measurements.
import { attachPacks } from "../../../scripts/attach-packs.ts";
import { classifierPack, rulesPack, vocabularyPacks } from "../../../scripts/packs.ts";
import { compile } from "../../support/leaf.ts";

const ROOM = 4 << 20;

export interface Judge {
  // biome-ignore lint/suspicious/noExplicitAny: an entry's exports.
  exports: Record<string, any>;
  /** Where bodies and texts go, and room to work. */
  at: number;
  work: number;
  /** Copies a text to `at`; its length in bytes. */
  put(text: string | Uint8Array): number;
  /** Finds the spans of a body; their number. */
  find(body: string | Uint8Array, path?: string): number;
  /** What the judge says of the body found last. */
  judge(threshold?: number, untrusted?: number): { blocked: boolean; score: number; why: string };
}

export interface JudgeOptions {
  /** Without one every text is inspected anew. */
  secret?: [bigint, bigint];
  /** Attach the vocabularies. */
  vocabularies?: boolean;
  /** Count the work: see test/support/steps.ts. */
  steps?: boolean;
}

export async function openJudge({ secret, vocabularies, steps = false }: JudgeOptions = {}): Promise<Judge> {
  const core = await compile("test/assembly/inspect/memo.entry.ts", { steps });
  const words = vocabularies ? await vocabularyPacks() : {};
  const module = new WebAssembly.Module(attachPacks(core, words) as BufferSource);
  const abort = () => {
    throw new Error("abort");
  };
  const exports = new WebAssembly.Instance(module, { env: { abort } }).exports as Judge["exports"];
  const memory = exports.memory as WebAssembly.Memory;
  const reserve = (size: number) => exports.reserve(size) >>> 0;
  const write = (at: number, bytes: Uint8Array) => new Uint8Array(memory.buffer).set(bytes, at);
  for (const [pack, use] of [
    [await rulesPack(), exports.useRules],
    [classifierPack(), exports.useClassifier],
  ]) {
    const to = reserve(pack.length);
    write(to, pack);
    if (!use(to, pack.length)) throw new Error("a pack was refused");
  }
  if (secret) exports.configureMemo(...secret);
  exports.configureTokens(1 << 20);
  const [at, work] = [reserve(ROOM), reserve(ROOM)];
  const put = (text: string | Uint8Array) => {
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    write(at, bytes);
    return bytes.length;
  };
  return {
    exports,
    at,
    work,
    put,
    find(body, path = "/") {
      const length = put(body);
      write(at + length, Buffer.from(path));
      return exports.find(at, length, at + length, path.length);
    },
    judge(threshold = 0, untrusted = 0) {
      const blocked = exports.judgeBody(work, threshold, untrusted) === 1;
      const why: bigint = BigInt.asUintN(64, exports.why());
      const name = new Uint8Array(memory.buffer, Number(why >> 32n), Number(why & 0xffffffffn));
      return { blocked, score: exports.judgedScore.value, why: new TextDecoder().decode(name) };
    },
  };
}

/** A chat of `texts`, user and assistant in turn, after a system text. */
export function chat(texts: readonly string[]): string {
  const turns = texts.map((content, i) => ({ role: i % 2 ? "assistant" : "user", content }));
  return JSON.stringify({
    model: "gpt-4o",
    messages: [{ role: "system", content: "You help people who read long reports." }, ...turns],
  });
}
