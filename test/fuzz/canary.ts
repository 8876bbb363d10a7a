// A target that must fail: if the fuzzer does not notice it, its other answers mean nothing. Run by run.ts only.
import assert from "node:assert/strict";

/** Fails on the first input that is large enough, as a real find does. */
export async function fuzz(_seconds: number, seed: number): Promise<number> {
  for (let run = 0; ; run++) assert.ok(((seed + run) & 7) !== 7, "canary: found, as it should be");
}
