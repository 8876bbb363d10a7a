// Files that are kept, and made by a script of others: written where they are not what it makes, or, to check, only found.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { at } from "./sources.ts";

/** The paths of `outputs`, path to text, that hold something else; written unless `check`. */
export function derive(outputs: Readonly<Record<string, string>>, check: boolean): string[] {
  const stale = Object.entries(outputs).filter(
    ([path, text]) => !existsSync(at(path)) || readFileSync(at(path), "utf8") !== text,
  );
  for (const [path, text] of check ? [] : stale) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  }
  return stale.map(([path]) => path);
}

/** Derives by the script's own arguments: with `--check`, a file that is stale ends the process with 1, and is told. */
export function deriveByArguments(outputs: Readonly<Record<string, string>>, script: string): never {
  const check = process.argv.includes("--check");
  const stale = derive(outputs, check);
  for (const path of stale)
    console.error(check ? `${path} is not what ${script} makes of its sources: run it` : `wrote ${path}`);
  process.exit(check && stale.length > 0 ? 1 : 0);
}
