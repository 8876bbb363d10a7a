// A second pass of optimisation over the compiled filter, with more inlining than asc's: what a stage calls for each
// block or piece of a text then costs no call. bench/envoy.ts shows what it brings.
import binaryen from "binaryen";

/**
 * In instructions, about: what is inlined always, what is when it makes no call itself, and what is where there is one
 * caller only. Of 60 to 400 tried for the second, 200 was the fastest at 32 KB.
 */
const ALWAYS = 20;
const WITHOUT_CALLS = 200;
const ONE_CALLER = 5000;

/** `core`, optimised again. Its functions lose their places: only exports keep their names. */
export function inlineMore(core: Uint8Array): Uint8Array {
  const module = binaryen.readBinary(core);
  const { BulkMemory, BulkMemoryOpt, MutableGlobals, NontrappingFPToInt, SIMD128, SignExt } =
    binaryen.Features;
  module.setFeatures(BulkMemory | BulkMemoryOpt | MutableGlobals | NontrappingFPToInt | SIMD128 | SignExt);
  binaryen.setOptimizeLevel(3);
  binaryen.setShrinkLevel(0);
  binaryen.setAlwaysInlineMaxSize(ALWAYS);
  binaryen.setFlexibleInlineMaxSize(WITHOUT_CALLS);
  binaryen.setOneCallerInlineMaxSize(ONE_CALLER);
  binaryen.setAllowInliningFunctionsWithLoops(true);
  try {
    module.optimize();
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}
