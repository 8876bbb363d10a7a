// The curated rules (packs/rules) as the pack that ships. What of it ordinary text leads to lies together, which the harmless texts
// of the corpus (training/) say: for other texts as well rules take a fifth less time, as most of it goes by waiting for memory.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readRules } from "./rules.ts";
import { type CompiledRules, compileRules } from "./rules-pack.ts";
import { ownCorpus } from "./train-corpus.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Compiles the curated rules of this checkout. */
export function compileCurated(): CompiledRules {
  const { rules, source } = readRules(join(root, "packs/rules"));
  const sample = ownCorpus(join(root, "training"), 1).flatMap(({ text, label }) => (label ? [] : [text]));
  return compileRules(rules, { source, sample });
}
