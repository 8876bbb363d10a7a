// A policy as people keep it: YAML (or JSON, which is YAML) in a file. The filter takes JSON.
import { readFileSync } from "node:fs";
import { LineCounter, parseDocument } from "yaml";
import { WeirError } from "../errors.ts";
import { unreadable } from "./usage.ts";

/** The policy in `file` as JSON text. Throws WeirError `invalid_argument`: `FILE:LINE:COLUMN: what is wrong`. */
export function readPolicy(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const [error] = document.errors;
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw new WeirError("invalid_argument", `${file}:${line}:${col}: not YAML: ${error.message}`);
  }
  if (document.contents === null)
    throw new WeirError("invalid_argument", `${file}: nothing in it: expected a policy, which has tiers`);
  try {
    return JSON.stringify(document.toJS({ maxAliasCount: 100 }));
  } catch {
    throw new WeirError(
      "invalid_argument",
      `${file}: too many aliases, or one of itself: expected at most 100`,
    );
  }
}
