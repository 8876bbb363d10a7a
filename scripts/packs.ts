// The packs as they are attached (assembly/packs.ts). Rules and vocabularies take seconds to compile: they are kept under
// build/packs, for the build and for each process of the tests, until something they are made of has changed.
import { readFileSync, writeFileSync } from "node:fs";
import { compileCurated } from "../sidecar/pack/curated.ts";
import { buildVocabulary, type EncodingName } from "./build-vocabulary.ts";
import { at, files, hashOf, kept } from "./sources.ts";

const LOCK = at("package-lock.json");
/** Classes and folds of characters are those of the Node that compiles. */
const UNICODE = process.versions.unicode as string;

function pack(name: string, key: string, make: () => Uint8Array | Promise<Uint8Array>): Promise<Uint8Array> {
  const file = at(`build/packs/${name}.${key.slice(0, 24)}.bin`);
  return kept(file, async (partial) => writeFileSync(partial, await make()));
}

/** The curated rules. */
export function rulesPack(): Promise<Uint8Array> {
  const sources = ["packs/rules", "training", "sidecar/pack"].flatMap(files);
  const key = hashOf([...sources, at("sidecar/utf8.ts"), LOCK], UNICODE);
  return pack("rules", key, () => compileCurated().pack);
}

/** The classifier's committed weights. */
export function classifierPack(): Buffer {
  return readFileSync(at("packs/classifier/weights.bin"));
}

/** The vocabulary of one encoding. */
export function vocabularyPack(name: EncodingName): Promise<Uint8Array> {
  const scripts = ["build-vocabulary", "double-array", "unicode-classes"].map((script) =>
    at(`scripts/${script}.ts`),
  );
  return pack(name, hashOf([...scripts, LOCK], name + UNICODE), () => buildVocabulary(name));
}

export async function vocabularyPacks(): Promise<Record<EncodingName, Uint8Array>> {
  return { o200k: await vocabularyPack("o200k"), cl100k: await vocabularyPack("cl100k") };
}
