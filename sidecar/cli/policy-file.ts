// A policy as people keep it: YAML or JSON in a file. The filter takes JSON, and not all of what YAML takes for it.
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
} from "yaml";
import { WeirError } from "../errors.ts";
import { placeOf } from "./policy-places.ts";
import { textOf } from "./usage.ts";

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

/** What JSON has no form for: a key that is no word, as in a template that nobody filled in, and a number such as `.inf`. */
function unlikeJson(document: Document): { at: number; what: string } | undefined {
  let found: { at: number; what: string } | undefined;
  const is = (range: readonly number[] | null | undefined, what: string) => {
    found = { at: range?.[0] ?? 0, what };
    return visit.BREAK;
  };
  visit(document, {
    Pair(_key, { key, value }) {
      if (isCollection(key)) return is(key.range, "a key that is a map or a list: expected a word");
      // What the package makes of a `<<` without quotes.
      if (!isScalar(key) || typeof key.value !== "symbol") return undefined;
      const sources = isSeq(value) ? value.items : [value];
      const isMerge = sources.every((source) => isMap(isAlias(source) ? source.resolve(document) : source));
      return isMerge ? undefined : is(key.range, "<<: expected an alias of a map, or a list of such");
    },
    Scalar(_key, { range, source, value }) {
      const isNumber = typeof value !== "number" || Number.isFinite(value);
      return isNumber ? undefined : is(range, `${source}: expected a number as JSON has it`);
    },
  });
  return found;
}

/** Of one anchor, times the aliases that are in it: room for hundreds of tiers that are each another one with changes. */
const ALIASES_MAX = 1000;

export interface PolicyFile {
  /** The policy as JSON text. */
  readonly json: string;
  /** What is wrong with it (`/tiers/pro/requests: …`), with `FILE:LINE:COLUMN: ` before it. */
  placed(problem: string): string;
}

/** The text of `file` as YAML, which JSON is as well, and how things are said of places in it. */
function parse(file: string, text: string) {
  const lines = new LineCounter();
  const options = { lineCounter: lines, merge: true, prettyErrors: false, uniqueKeys: true };
  const document = parseDocument(text, options);
  const at = (place: number, what: string): string => {
    const { line, col } = lines.linePos(place);
    return `${file}:${line}:${col}: ${what}`;
  };
  const placed = (problem: string): string => {
    const byte = /^\/: not JSON: .* at byte (\d+)$/.exec(problem)?.[1];
    if (byte !== undefined) return at(Buffer.from(text).subarray(0, Number(byte)).toString().length, problem);
    const pointer = /^(\/.*?): /.exec(problem)?.[1];
    return pointer === undefined ? `${file}: ${problem}` : at(placeOf(document, pointer), problem);
  };
  return { document, at, placed };
}

/** The policy in `file`; - is standard input. Throws WeirError `invalid_argument`: `FILE:LINE:COLUMN: what is wrong`. */
export function readPolicy(file: string): PolicyFile {
  const text = textOf(file, file === "-" ? 0 : file);
  // It goes into a proxy as it stands, so it is judged as it stands: YAML would pass over a comma too many.
  if (file.endsWith(".json") && text.trim()) {
    let parsed: ReturnType<typeof parse> | undefined;
    const placed = (problem: string) => {
      parsed ??= parse(file, text);
      return parsed.placed(problem);
    };
    return { json: text, placed };
  }
  const { document, at, placed } = parse(file, text);
  const refuse = (place: number, what: string): never => {
    throw new WeirError("invalid_argument", at(place, what));
  };
  const [error] = document.errors;
  const star = strayStar(document);
  if (star !== undefined && star <= (error?.pos[0] ?? star))
    refuse(
      star,
      'not YAML: a star that no anchor belongs to: what begins with one stands in quotes, such as "*"',
    );
  if (error?.code === "MULTIPLE_DOCS")
    refuse(error.pos[0], "not YAML: a second document begins: expected one policy");
  if (error) refuse(error.pos[0], `not YAML: ${error.message}`);
  const unlike = unlikeJson(document);
  if (unlike) refuse(unlike.at, unlike.what);
  if (document.contents === null)
    throw new WeirError("invalid_argument", `${file}: nothing in it: expected a policy, which has tiers`);
  try {
    return { json: JSON.stringify(document.toJS({ maxAliasCount: ALIASES_MAX })), placed };
  } catch {
    throw new WeirError(
      "invalid_argument",
      `${file}: too many aliases, or one of itself: expected at most ${ALIASES_MAX}, each counted with those in it`,
    );
  }
}
