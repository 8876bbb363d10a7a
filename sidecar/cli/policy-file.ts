// A policy as people keep it: YAML or JSON in a file. The filter takes JSON, and not all of what YAML takes for it.
import { readFileSync } from "node:fs";
import { type Document, LineCounter, parseDocument, visit } from "yaml";
import { WeirError } from "../errors.ts";
import { unreadable } from "./usage.ts";

/** Where an alias stands that names no anchor: of a star that was meant as one, YAML says something else or nothing. */
function strayStar(document: Document): number | undefined {
  let at: number | undefined;
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document)) return undefined;
      at = alias.range?.[0];
      return visit.BREAK;
    },
  });
  return at;
}

/** The policy in `file` as JSON text. Throws WeirError `invalid_argument`: `FILE:LINE:COLUMN: what is wrong`. */
export function readPolicy(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
  // It goes into a proxy as it stands, so it is judged as it stands: YAML would pass over a comma too many.
  if (file.endsWith(".json")) return text;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const refuse = (at: number, what: string): never => {
    const { line, col } = lines.linePos(at);
    throw new WeirError("invalid_argument", `${file}:${line}:${col}: not YAML: ${what}`);
  };
  const [error] = document.errors;
  const star = strayStar(document);
  if (star !== undefined && star <= (error?.pos[0] ?? star))
    refuse(star, 'a star that no anchor belongs to: what begins with one stands in quotes, such as "*"');
  if (error?.code === "MULTIPLE_DOCS") refuse(error.pos[0], "a second document begins: expected one policy");
  if (error) refuse(error.pos[0], error.message);
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
