// What was caught, by kind of text: the figures of the model card and of `make eval`.
import type { Sample } from "./train-corpus.ts";

export interface Row {
  rows: number;
  flagged: number;
  rate: number;
}

export type Group =
  | "explicit"
  | "obfuscated"
  | "multilingual"
  | "indirect"
  | "jailbreak"
  | "hard negative"
  | "benign";

/** The group that a sample's kind is reported under. Explicit: override, extraction and role hijack in plain words. */
export function groupOf({ kind, label, source }: Sample): Group {
  const obfuscated = source.startsWith("obf:") || source.endsWith("_disguised");
  if (!label)
    return obfuscated || kind.startsWith("hard") || source.startsWith("own_hard")
      ? "hard negative"
      : "benign";
  if (obfuscated) return "obfuscated";
  if (kind.includes("multilingual") || /^own_attacks_(?!en)/.test(source)) return "multilingual";
  if (/indirect|embedded/.test(kind)) return "indirect";
  return kind.startsWith("jailbreak") ? "jailbreak" : "explicit";
}

/** Texts flagged at `threshold` by group; samples whose score is NaN are not counted. */
export function recallTable(
  samples: readonly Sample[],
  scores: ArrayLike<number>,
  threshold: number,
): Record<string, Row> {
  return tableBy(samples, scores, threshold, groupOf);
}

export function tableBy(
  samples: readonly Sample[],
  scores: ArrayLike<number>,
  threshold: number,
  key: (sample: Sample) => string,
): Record<string, Row> {
  const table: Record<string, Row> = {};
  for (const [i, sample] of samples.entries()) {
    const score = scores[i] as number;
    if (Number.isNaN(score)) continue;
    const name = key(sample);
    table[name] ??= { rows: 0, flagged: 0, rate: 0 };
    const row = table[name];
    row.rows++;
    if (score > threshold) row.flagged++;
    row.rate = Number((row.flagged / row.rows).toFixed(4));
  }
  return table;
}
