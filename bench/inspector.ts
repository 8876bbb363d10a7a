// The filter's inspection in Node, with the packs that ship, for the benchmarks.
import assert from "node:assert/strict";
import { classifierPack, rulesPack } from "../scripts/packs.ts";
import { type Leaf, leaf } from "../test/support/leaf.ts";

/** The last stage of inspect.entry.ts: all of them, over a memo that does not know the text. */
const ALL = 6;
const REFUSED = -(2 ** 31);

export interface Inspector extends Leaf {
  /** Inspects the body at `ptr` up to and including `stage`. */
  run(ptr: number, length: number, stage: number): void;
  /** Whether a text is far from being blocked: one that is stops the inspection of what comes after it. */
  passes(text: string): boolean;
}

/** `bytesMax`: the longest body. */
export async function openInspector(bytesMax: number): Promise<Inspector> {
  const inner = await leaf("test/assembly/inspect/inspect.entry.ts");
  const { exports, reserve, write } = inner;
  for (const [bytes, use] of [
    [await rulesPack(), exports.useRules],
    [classifierPack(), exports.useClassifier],
  ]) {
    const ptr = reserve(bytes.length);
    write(ptr, bytes);
    assert.ok(use(ptr, bytes.length), "the pack was refused");
  }
  exports.remember();
  const work = reserve(bytesMax);
  const scratch = reserve(bytesMax);
  const run = (ptr: number, length: number, stage: number): number => {
    const result = exports.inspectBody(ptr, length, work, stage, 1);
    assert.notEqual(result, REFUSED, "a body is refused");
    return result;
  };
  return {
    ...inner,
    run,
    passes(text) {
      const bytes = Buffer.from(JSON.stringify({ messages: [{ role: "user", content: text }] }));
      if (bytes.length > bytesMax) return false;
      write(scratch, bytes);
      return run(scratch, bytes.length, ALL) < exports.blocksFrom() / 2;
    },
  };
}
