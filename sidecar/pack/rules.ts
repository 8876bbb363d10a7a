// The rules that a pack is made from (rules-pack.ts): the curated ones (packs/rules/*.yaml), and the phrases and patterns of a
// policy.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { RuleError } from "./dfa.ts";
import { expand, PatternError } from "./regex.ts";
import { withoutSymbols } from "./regex-fold.ts";

export const categories = [
  "override",
  "extraction",
  "hijack",
  "forgery",
  "exfiltration",
  "encoded",
  "bypass",
  "custom",
] as const;
type Category = (typeof categories)[number];

export interface Rule {
  /** Stable: `override.ignore-previous`. At most 64 bytes. */
  id: string;
  category: Category;
  /** BCP 47 languages of the patterns; `*` for none in particular. */
  languages: string[];
  /** `block` decides alone; `score` contributes, as all curated rules do: a quotation is no attack. */
  severity: "block" | "score";
  /** What it adds, 0 – 255: 80 adds 1.0 to the classifier's logit (assembly/inspect/injection.ts). */
  score: number;
  /** The spans it applies to. */
  spans: "all" | "trusted" | "untrusted";
  patterns: string[];
  positive: string[];
  negative: string[];
}

interface RuleFile {
  category: Category;
  macros?: Record<string, string>;
  rules: (Partial<Rule> & { id: string; patterns: string[] })[];
}

/** Reads every YAML file of a directory. Macros of `macros.yaml` hold in all files. */
export function readRules(directory: string): { rules: Rule[]; source: string } {
  const hash = createHash("sha256");
  const files = readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .sort();
  const texts = files.map((name) => {
    const text = readFileSync(`${directory}/${name}`, "utf8");
    hash.update(name).update(text);
    return text;
  });
  const shared: Record<string, string> = {};
  files.forEach((name, i) => {
    if (name === "macros.yaml") Object.assign(shared, parseYaml(texts[i] as string).macros);
  });
  const rules: Rule[] = [];
  files.forEach((name, i) => {
    if (name === "macros.yaml") return;
    const file = parseYaml(texts[i] as string) as RuleFile;
    const macros = { ...shared, ...file.macros };
    for (const raw of file.rules) {
      const block = raw.severity === "block";
      rules.push({
        category: file.category,
        languages: ["en"],
        severity: "score",
        score: block ? 200 : 60,
        spans: "all",
        positive: [],
        negative: [],
        ...raw,
        patterns: raw.patterns.map((p) => inRule(raw.id, () => expand(p, macros))),
      });
    }
  });
  return { rules, source: hash.digest("hex") };
}

/**
 * A rule of a policy: phrases are found as they are, but for symbols, which are read as spaces; patterns are in the
 * language of regex.ts. One that does not block only reports: it adds nothing to a score.
 */
export function customRule(
  id: string,
  phrases: string[],
  patterns: string[],
  severity: "block" | "score",
): Rule {
  const plain = phrases.map((p) =>
    // One of symbols alone is refused as a pattern is.
    (withoutSymbols(p).trim() || p.trim()).replace(/\s+/g, " ").replace(/[\\()|?[\]{}.*+~^$]/g, "\\$&"),
  );
  return {
    id,
    category: "custom",
    languages: ["*"],
    severity,
    score: severity === "block" ? 255 : 0,
    spans: "all",
    patterns: [...plain, ...patterns],
    positive: [],
    negative: [],
  };
}

/** What `body` says of a pattern is of rule `id`. */
export function inRule<T>(id: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof PatternError) throw new RuleError(`rule ${id}: ${error.message}`);
    throw error;
  }
}
