// Compiles the tokens leaf, attaches vocabularies to it as the build does, and wraps its exports for tests.
import { attachPacks, type PackName } from "../../../scripts/attach-packs.ts";
import { vocabularyPacks } from "../../../scripts/packs.ts";
import { compile } from "../../support/leaf.ts";

export const ENTRY = "test/assembly/tokens/tokens.entry.ts";
export const ENCODINGS = ["o200k", "cl100k"] as const;

export interface TokensOptions {
  scalar?: boolean;
  /** Count the work: see `takeSteps`. */
  steps?: boolean;
  /** Default: both vocabularies. */
  packs?: Partial<Record<PackName, Uint8Array>>;
  /** Longest text, in bytes. Default: 4 MiB. */
  textBytes?: number;
}

export interface Tokens {
  // biome-ignore lint/suspicious/noExplicitAny: the leaf's exports take and return numbers and bigints.
  exports: Record<string, any>;
  memory: WebAssembly.Memory;
  /** Copies `text` into the text buffer and returns its slice. */
  put(text: string | Uint8Array): bigint;
  /** The exact count of `text`. */
  count(encoding: number, text: string | Uint8Array, limit?: number): number;
  /** Steps since the last call (test/support/steps.ts); only of a leaf that counts them. */
  takeSteps(): number;
}

export async function tokens(options: TokensOptions = {}): Promise<Tokens> {
  const attached = options.packs ?? (await vocabularyPacks());
  const module = attachPacks(await compile(ENTRY, options), attached);
  return instantiate(module, options.textBytes ?? 4 << 20);
}

export function instantiate(module: Uint8Array, textBytes: number): Tokens {
  const abort = () => {
    throw new Error("abort");
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module as BufferSource), {
    env: { abort },
  });
  const exports = instance.exports as Tokens["exports"];
  const memory = exports.memory as WebAssembly.Memory;
  exports.configureTokens(textBytes);
  const buffer = exports.reserve(textBytes) >>> 0;
  const put = (text: string | Uint8Array) => {
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    new Uint8Array(memory.buffer).set(bytes, buffer);
    return (BigInt(buffer) << 32n) | BigInt(bytes.length);
  };
  return {
    exports,
    memory,
    put,
    count: (encoding, text, limit = 0x7ffffffe) => exports.countTokens(encoding, put(text), limit),
    takeSteps: () => Number(exports.takeSteps()),
  };
}
