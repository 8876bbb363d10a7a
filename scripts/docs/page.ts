// What the pages of the reference share: reading sources, tables, and the list of what is wrong.
import { readFileSync } from "node:fs";

export const root = new URL("../../", import.meta.url);
export const read = (path: string) => readFileSync(new URL(path, root), "utf8");

/** What has no description, or describes nothing: the reference is complete when it is empty. */
export const problems: string[] = [];

const cell = (text: string) => text.replaceAll("|", "\\|").replace(/\s*\n\s*/g, " ");
/** A Markdown table; cells are escaped here. */
export const table = (head: string[], rows: string[][]) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");

/** Reports names that `found` has and `described` has not, and the other way round. */
export function same(what: string, found: Iterable<string>, described: Iterable<string>): void {
  const [a, b] = [new Set(found), new Set(described)];
  for (const name of a) if (!b.has(name)) problems.push(`${what}: ${name} is not described`);
  for (const name of b) if (!a.has(name)) problems.push(`${what}: ${name} is described but does not exist`);
}

/** Matches of one group, each once, in their order. */
export const names = (text: string, pattern: RegExp) => [
  ...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? "")),
];
