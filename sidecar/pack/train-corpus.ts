// Labelled texts for the trainer: our own corpus under training/, expanded by seed, and labelled JSONL from
// elsewhere (`text`, `label`, `source`, `kind`), which is read and never written.
//
// The own corpus: every template is expanded several times; a part is then put into a carrier document, a part
// is disguised. One seed gives one corpus, byte for byte. Bounds: TEXT_MAX characters of one text are read.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { WeirError } from "../errors.ts";
import { utf8Of } from "../utf8.ts";
import { DISGUISES, disguise, pick } from "./train-disguise.ts";
import { expand, type Grammar, parseGrammar, random, type Template } from "./train-grammar.ts";

/** Characters of a text that the trainer reads. */
export const TEXT_MAX = 24000;

export interface Sample {
  text: string;
  /** 1 is an attack. */
  label: 0 | 1;
  source: string;
  kind: string;
}

interface Line {
  grammar: Grammar;
  template: Template;
  language: string;
}

const EXPANSIONS = {
  attacks: { en: 30, other: 14 },
  hard: { en: 24, other: 10 },
  benign: { en: 40, other: 12 },
};
const EMBEDDED = 0.35;
const DISGUISED = 0.15;

/** How many templates each part of the corpus under `dir` has, by language. */
export function templateCounts(dir: string): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const part of Object.keys(EXPANSIONS)) {
    const byLanguage: Record<string, number> = {};
    for (const { language } of lines(dir, part)) byLanguage[language] = (byLanguage[language] ?? 0) + 1;
    counts[part] = byLanguage;
  }
  return counts;
}

/** The own corpus under `dir` (training/), expanded with `seed`. */
export function ownCorpus(dir: string, seed: number): Sample[] {
  const rand = random(seed);
  const benign = lines(dir, "benign");
  const samples: Sample[] = [];
  const seen = new Set<string>();
  const add = (text: string, label: 0 | 1, source: string, kind: string) => {
    const key = `${label}${text}`;
    if (!seen.has(key)) samples.push({ text, label, source, kind });
    seen.add(key);
  };
  for (const part of ["attacks", "hard", "benign"] as const) {
    const label = part === "attacks" ? 1 : 0;
    for (const line of lines(dir, part)) {
      const { language, template } = line;
      const source = `own_${part}_${language}${language === "en" ? `_${template.category}` : ""}`;
      const times = EXPANSIONS[part][language === "en" ? "en" : "other"];
      for (let i = 0; i < times; i++) {
        const text = vary(one(line, rand), rand);
        add(text, label, source, template.category);
        const chance = rand();
        if (chance < EMBEDDED)
          add(embed(text, language, benign, rand), label, source, `${template.category}_embedded`);
        else if (chance < EMBEDDED + DISGUISED) {
          const kind = pick(DISGUISES, rand);
          add(disguise(text, kind, rand), label, `${source}_disguised`, kind);
        }
      }
    }
  }
  return samples;
}

/** The JSONL file of labelled texts: `path`, or `prompts.jsonl` in the directory `path`; undefined when there is none. */
export function labelledFile(path: string): string | undefined {
  const file = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, "prompts.jsonl") : path;
  return existsSync(file) ? file : undefined;
}

/** Labelled rows of a JSONL file. Throws WeirError `invalid_argument` that names the line of one that is no label. */
export function readSamples(file: string): Sample[] {
  const samples: Sample[] = [];
  const text = utf8Of(readFileSync(file), file).replace(/^\uFEFF/, "");
  for (const [index, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const row = parsed(line);
    if (typeof row?.text !== "string" || (row.label !== 0 && row.label !== 1)) {
      const expected = `expected ${row ? "" : "JSON with "}text and label 0 or 1`;
      throw new WeirError("invalid_argument", `${file}:${index + 1}: ${expected}`);
    }
    const { text, label, source = "labels", kind = "unknown" } = row;
    samples.push({ text: text.slice(0, TEXT_MAX), label, source, kind });
  }
  return samples;
}

/** The row that `line` has; null or undefined: none. */
function parsed(line: string): Partial<Sample> | null | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function lines(dir: string, part: string): Line[] {
  const all: Line[] = [];
  for (const file of readdirSync(join(dir, part)).sort()) {
    if (!file.endsWith(".txt")) continue;
    const path = join(dir, part, file);
    const grammar = parseGrammar(utf8Of(readFileSync(path), path), `${part}/${file}`);
    for (const template of grammar.templates) all.push({ grammar, template, language: file.slice(0, -4) });
  }
  return all;
}

function one({ grammar, template }: Line, rand: () => number): string {
  const text = expand(grammar, template.parts, rand).replace(/ {2,}/g, " ").trim();
  return text.replace(/(?<=\s)@(.+)@$/s, (_, secret: string) =>
    disguise(secret, pick(["base64", "base64", "hex", "rot13", "reversed"], rand), rand),
  );
}

/** Case and closing marks as people type them. */
function vary(text: string, rand: () => number): string {
  const chance = rand();
  let varied = text;
  if (chance < 0.3) varied = text.charAt(0).toUpperCase() + text.slice(1);
  else if (chance < 0.4) varied = text.toLowerCase();
  if (/[\p{L}\p{N}]$/u.test(varied)) varied += pick(["", "", ".", "!", "!!", "\n"], rand);
  return varied;
}

/** `text` between others: in a document, or after a harmless question. */
function embed(text: string, language: string, benign: Line[], rand: () => number): string {
  const near = benign.filter((line) => line.language === language || line.language === "en");
  const other = () => one(pick(near, rand), rand);
  const glue = pick(["\n\n", "\n", " ", " ", "\n---\n", '"\n'], rand);
  const before = Array.from({ length: Math.floor(rand() * 4) }, other).join(pick([" ", "\n"], rand));
  const after = rand() < 0.4 ? glue + other() : "";
  return (before ? before + glue : "") + text + after;
}
