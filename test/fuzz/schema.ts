// Fuzzes the schemas of routes: whatever a document is, a schema that was kept and opened again says what the one just read
// says, a document whose keys and strings are written with escapes fares no better, nothing around the document counts, and
// the work grows no faster than the document (steps of the compiled code). Schemas that are damaged are refused or work.
import assert from "node:assert/strict";
import { type Leaf, leaf } from "../support/leaf.ts";
import { rounds } from "./inspect-texts.ts";
import { assertLinear } from "./linear.ts";

type Pick = (below: number) => number;

const ROOM = 1 << 20;
const GUARD = 64;
/** The tape of this leaf has room for ten times as many of the shortest values. */
const BASE_BYTES = 1 << 13;
const KEYS = ["a", "b", "role", "content", "é", "a/b", "~", "longer-name-of-a-member", "x y"];
const TEXTS = ["", "a", "user", "é😀", "a/b", "x".repeat(70), 'quo"te', "back\\slash"];

function someSchema(pick: Pick, depth: number): Record<string, unknown> {
  const key = () => KEYS[pick(KEYS.length)] as string;
  const scalar = () => [TEXTS[pick(TEXTS.length)], pick(5) - 2, pick(2) === 0, null, 1.5][pick(5)];
  const inner = () => someSchema(pick, depth + 1);
  const type = () => ["object", "array", "string", "number", "integer", "boolean", "null"][pick(7)] as string;
  const parts: (() => Record<string, unknown>)[] = [
    () => ({ type: pick(2) ? type() : [type(), type()] }),
    () => ({ enum: Array.from({ length: 1 + pick(4) }, scalar) }),
    () => ({ const: scalar() }),
    () => ({ minimum: pick(4) - 2, maximum: 1 + pick(3) }),
    () => ({ minLength: pick(3), maxLength: 2 + pick(3) }),
    () => ({ minItems: pick(3), maxItems: 2 + pick(3) }),
    () => ({ required: Array.from({ length: pick(3) }, key) }),
    () => ({ $ref: `#/$defs/${["one", "two"][pick(2)]}` }),
  ];
  const nested: (() => Record<string, unknown>)[] = [
    () => ({ properties: Object.fromEntries(Array.from({ length: pick(5) }, () => [key(), inner()])) }),
    () => ({ additionalProperties: pick(2) ? pick(2) === 0 : inner() }),
    () => ({ items: inner() }),
    () => ({ anyOf: Array.from({ length: 1 + pick(4) }, inner) }),
  ];
  const from = depth > 4 ? parts : [...parts, ...nested, ...nested];
  return Object.assign({}, ...Array.from({ length: pick(4) }, () => from[pick(from.length)]?.()));
}

function someDocument(pick: Pick, depth: number): unknown {
  const kind = pick(depth > 4 ? 5 : 9);
  if (kind < 2) return TEXTS[pick(TEXTS.length)];
  if (kind === 2) return [pick(5) - 2, 1.5, -0, 1e300][pick(4)];
  if (kind === 3) return pick(2) === 0;
  if (kind === 4) return null;
  if (kind < 7) return Array.from({ length: pick(6) }, () => someDocument(pick, depth + 1));
  const keys = Array.from({ length: pick(7) }, () => KEYS[pick(KEYS.length)] as string);
  return Object.fromEntries(keys.map((key) => [key, someDocument(pick, depth + 1)]));
}

/** The same document, some characters of its strings and keys written as escapes. */
function escaped(pick: Pick, json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"/g, (string) =>
    string.replace(/[a-zé/]/g, (c) => (pick(3) ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)),
  );
}

function checker({ exports: x, reserve, write, read, text, takeSteps }: Leaf) {
  const [schemaAt, bodyAt, savedAt] = [reserve(ROOM), reserve(2 * ROOM + 2 * GUARD), reserve(ROOM)];
  const str = (s: bigint) => text(Number(s >> 32n), Number(s & 0xffffffffn));
  const problems = () =>
    Array.from(
      { length: x.count() },
      (_, i) => `${str(x.pointer(i))}: ${str(x.value(i))}: ${str(x.expected(i))}`,
    );
  return {
    /** Takes a schema, and keeps it too; false if it is refused. */
    load(schema: string): boolean {
      const bytes = Buffer.from(schema);
      write(schemaAt, bytes);
      const ok = Boolean(x.load(schemaAt, bytes.length));
      const size = x.save(schemaAt, bytes.length, savedAt) >>> 0;
      assert.equal(size > 0, ok, "kept and not loaded, or the other way round");
      assert.ok(size < ROOM);
      return ok;
    },
    /** Reads the document between bytes of `fill`. */
    scan(document: string, fill: number): void {
      const bytes = Buffer.from(document);
      const frame = Buffer.alloc(bytes.length + 2 * GUARD, fill);
      bytes.copy(frame, GUARD);
      write(bodyAt, frame);
      assert.equal(x.scan(bodyAt + GUARD, bytes.length), 0, document.slice(0, 500));
      x.check();
      assert.ok(frame.equals(read(bodyAt, frame.length)), "the document or its guards were changed");
    },
    check: () => ({ total: x.check() as number, problems: problems() }),
    checkSaved: () => ({ total: x.checkSaved(savedAt) as number, problems: problems() }),
    steps(): number {
      takeSteps();
      x.check();
      return takeSteps();
    },
  };
}

/** Runs for `seconds` from `seed`; returns the number of documents. Throws on a find. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const entry = "test/assembly/inspect/schema.entry.ts";
  const plain = checker(await leaf(entry));
  const counting = checker(await leaf(entry, { steps: true }));
  return rounds(seconds, seed, (pick) => {
    const $defs = { one: someSchema(pick, 1), two: someSchema(pick, 2) };
    const inner = someSchema(pick, 0);
    let schema = JSON.stringify({ ...inner, $defs });
    if (pick(8) === 0) {
      const at = pick(schema.length);
      schema = schema.slice(0, at) + schema.slice(at + 1 + pick(4));
    }
    if (!plain.load(schema)) return;
    for (let n = 0; n < 8; n++) {
      const document = JSON.stringify(someDocument(pick, 0));
      const what = `${schema} on ${document}`;
      plain.scan(document, 0x22);
      const said = plain.check();
      assert.deepEqual(plain.checkSaved(), said, `kept: ${what}`);
      plain.scan(document, 0x5c);
      assert.deepEqual(plain.check(), said, `guards: ${what}`);
      plain.scan(escaped(pick, document), 0x22);
      assert.equal(plain.check().total > 0, said.total > 0, `escapes: ${what}`);
    }
    if (pick(8)) return;
    const unit = JSON.stringify(someDocument(pick, 1));
    const list = JSON.stringify({ items: inner, additionalProperties: inner, $defs });
    // A circle of references is refused.
    if (!counting.load(list)) return;
    const many = (bytes: number) => Array(Math.max(1, Math.floor(bytes / (unit.length + 12)))).fill(unit);
    const forms: ((bytes: number) => string)[] = [
      (bytes) => `[${many(bytes).join(",")}]`,
      (bytes) =>
        `{${many(bytes)
          .map((value, i) => `"k${10000000 + i}":${value}`)
          .join(",")}}`,
    ];
    for (const form of forms) {
      const stepsOf = (input: Uint8Array) => {
        counting.scan(Buffer.from(input).toString(), 0);
        return counting.steps();
      };
      assertLinear((bytes) => Buffer.from(form(bytes)), stepsOf, `${list} on ${unit}`, BASE_BYTES);
    }
  });
}
