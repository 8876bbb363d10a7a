import assert from "node:assert/strict";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { leaf } from "../../support/leaf.ts";

const { exports: x, reserve, write, text } = await leaf("test/assembly/inspect/schema.entry.ts");
const ROOM = 1 << 20;
const schemaAt = reserve(1 << 16);
const bodyAt = reserve(ROOM);
const str = (s: bigint) => text(Number(s >> 32n), Number(s & 0xffffffffn));

/** Loads a schema; the reason if it is refused. */
function load(schema: unknown): string | undefined {
  const bytes = Buffer.from(typeof schema === "string" ? schema : JSON.stringify(schema));
  write(schemaAt, bytes);
  return x.load(schemaAt, bytes.length) ? undefined : str(x.loadError());
}

function problems(document: unknown): string[] {
  const bytes = Buffer.from(JSON.stringify(document));
  write(bodyAt, bytes);
  assert.equal(x.scan(bodyAt, bytes.length), 0);
  x.check();
  return Array.from(
    { length: x.count() },
    (_, i) => `${str(x.pointer(i))}: ${str(x.value(i))}: ${str(x.expected(i))}`,
  );
}

const policy = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  required: ["tiers"],
  properties: {
    version: { const: 1 },
    tiers: { type: "object", description: "by name", additionalProperties: { $ref: "#/$defs/tier" } },
    admins: {
      type: "array",
      items: { type: "string", minLength: 1, maxLength: 8 },
      minItems: 1,
      maxItems: 3,
    },
  },
  $defs: {
    tier: {
      type: "object",
      additionalProperties: false,
      properties: {
        requests: { anyOf: [{ type: "integer", minimum: 1 }, { $ref: "#/$defs/duration" }] },
        tokens: { type: ["integer", "null"], minimum: 0, maximum: 100 },
        injection: { enum: ["block", "shadow", "off"] },
        ratio: { type: "number", minimum: 0 },
        prompt: { anyOf: [{ type: "object", properties: { max: { type: "integer" } } }, { const: false }] },
        hold: { $ref: "#/$defs/duration" },
        stream: { type: "boolean" },
      },
    },
    duration: { type: "string", format: "duration" },
  },
};

test("a document that fits has no problems", () => {
  assert.equal(load(policy), undefined);
  const free = {
    requests: 3,
    tokens: null,
    injection: "off",
    ratio: 0.5,
    prompt: { max: 1.0 },
    hold: "5m",
    stream: true,
  };
  assert.deepEqual(
    problems({
      version: 1,
      tiers: { free, pro: { requests: "5m", prompt: false } },
      admins: ["a", "üüüüüüüü"],
    }),
    [],
  );
});

test("every problem is reported with its pointer, its value and what was expected", () => {
  load(policy);
  const free = {
    requests: 0,
    tokens: 101,
    injection: "bock",
    ratio: -1,
    prompt: { max: 1.5 },
    hold: "5 minutes",
    stream: "yes",
    injektion: 1,
  };
  assert.deepEqual(problems({ version: 2, tiers: { "a/b": free }, admins: ["", "123456789", 5, "x"] }), [
    "/version: 2: 1",
    "/tiers/a~1b/requests: 0: an integer ≥ 1",
    "/tiers/a~1b/tokens: 101: an integer from 0 to 100 or null",
    '/tiers/a~1b/injection: "bock": one of "block", "shadow", "off"',
    "/tiers/a~1b/ratio: -1: a number ≥ 0",
    "/tiers/a~1b/prompt/max: 1.5: an integer",
    '/tiers/a~1b/hold: "5 minutes": a duration such as 5m, with a unit',
    '/tiers/a~1b/stream: "yes": true or false',
    '/tiers/a~1b/injektion: 1: a known key (did you mean "injection"? known: requests, tokens, injection, ratio, prompt, hold, stream)',
    "/admins: [...]: a list of 1 to 3 items",
  ]);
  assert.deepEqual(problems({ admins: ["", "123456789", 5] }), [
    ': {...}: an object with "tiers"',
    '/admins/0: "": a non-empty string of at most 8 characters',
    '/admins/1: "123456789": a non-empty string of at most 8 characters',
    "/admins/2: 5: a non-empty string of at most 8 characters",
  ]);
  assert.deepEqual(problems({ tiers: { free: { requests: true, prompt: 7 } } }), [
    "/tiers/free/requests: true: an integer ≥ 1 or a duration such as 5m",
    "/tiers/free/prompt: 7: an object or false",
  ]);
  assert.deepEqual(problems([1]), [": [...]: an object"]);
});

test("regression: bounds of a schema without a type were told as another value", () => {
  load({
    properties: { tools: { maxItems: 0 }, n: { maximum: 4 }, name: { minLength: 2, maxItems: 3 } },
  });
  assert.deepEqual(problems({ tools: [1], n: 5, name: "a" }), [
    "/tools: [...]: a list of at most 0 items",
    "/n: 5: a number ≤ 4",
    '/name: "a": a list of at most 3 items or a string of at least 2 characters',
  ]);
});

test("a long value is shortened between characters", () => {
  load({ type: "integer" });
  assert.deepEqual(problems("é".repeat(100)), [`: "${"é".repeat(29)}...": an integer`]);
  assert.deepEqual(problems("\n".repeat(100)), [`: "${"\\n".repeat(29)}...": an integer`]);
});

test("no more than 32 problems are kept, and all are counted", () => {
  load({ type: "array", items: { type: "string" } });
  assert.equal(problems(Array(50).fill(1)).length, 32);
  assert.equal(x.check(), 50);
});

test("a body of nothing but problems is checked in time in proportion to its size", () => {
  load({
    additionalProperties: false,
    properties: Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`name${i}`, {}])),
  });
  const from = performance.now();
  assert.equal(
    problems(Object.fromEntries(Array.from({ length: 20000 }, (_, i) => [`nam${i}`, 1]))).length,
    32,
  );
  assert.equal(x.check(), 20000);
  assert.ok(performance.now() - from < 1000);
});

const refused: [unknown, RegExp][] = [
  ['{"type":', /^byte 8: unexpected end$/],
  ['{"type":"string","type":"string"}', /^byte 18: duplicate key/],
  [[], /^: a schema/],
  [{ type: "text" }, /^\/type: object, array/],
  [{ type: ["string", "text"] }, /^\/type\/1: object/],
  [{ type: [] }, /^\/type: object/],
  [{ items: { minimum: 1.5, maximum: 1 } }, /^\/items: a minimum that is not above maximum/],
  [{ minLength: 2, maxLength: 1 }, /^: a minLength that is not above maxLength/],
  [{ minItems: 1, maxItems: 0 }, /^: a minItems that is not above maxItems/],
  [{ pattern: "^a" }, /^\/pattern: a supported keyword/],
  [{ properties: { a: { oneOf: [] } } }, /^\/properties\/a\/oneOf: a supported keyword/],
  [{ properties: [] }, /^\/properties: an object of schemas/],
  [{ properties: { a: true } }, /^\/properties\/a: a schema/],
  [{ items: [] }, /^\/items: a schema/],
  [{ items: { exclusiveMinimum: 0 } }, /^\/items\/exclusiveMinimum/],
  [{ required: "a" }, /^\/required: a list of names/],
  [{ required: ["a", 1] }, /^\/required\/1: a name/],
  [{ enum: [] }, /^\/enum: a list of at least one value/],
  [{ enum: [1, {}] }, /^\/enum\/1: a string, a number/],
  [{ const: [] }, /^\/const: a string, a number/],
  [{ minimum: "1" }, /^\/minimum: a number/],
  [{ minLength: -1 }, /^\/minLength: an integer from 0/],
  [{ maxItems: 1.5 }, /^\/maxItems: an integer from 0/],
  [{ anyOf: [] }, /^\/anyOf: a list of 1 to 16/],
  [{ anyOf: Array(17).fill({}) }, /^\/anyOf: a list of 1 to 16/],
  [{ format: "email" }, /^\/format: the name of a known format/],
  [{ $ref: "#/$defs/none" }, /^\/\$ref: #\/\$defs\/NAME/],
  [{ $ref: "other.json", $defs: {} }, /^\/\$ref: #\/\$defs\/NAME/],
  [{ properties: { a: { $defs: {} } } }, /^\/properties\/a\/\$defs: a supported keyword/],
  [
    { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { anyOf: [{ $ref: "#/$defs/a" }] } } },
    /lead back/,
  ],
  [{ additionalProperties: 1 }, /^\/additionalProperties: a schema/],
];

test("a schema that is not wholly understood is refused with its pointer", () => {
  for (const [schema, reason] of refused)
    assert.match(load(schema) ?? "accepted", reason, JSON.stringify(schema));
});

test("recursive schemas follow the document, and alternatives inside alternatives stay linear", () => {
  const node = {
    type: "object",
    properties: { next: { $ref: "#/$defs/node" } },
    additionalProperties: false,
  };
  assert.equal(load({ $ref: "#/$defs/node", $defs: { node } }), undefined);
  let list: object = { nxt: 1 };
  for (let i = 0; i < 100; i++) list = { next: list };
  assert.equal(problems(list).length, 1);

  const twice = {
    properties: { a: { anyOf: [{ $ref: "#/$defs/t" }, { $ref: "#/$defs/t" }] } },
    additionalProperties: false,
  };
  assert.equal(load({ $ref: "#/$defs/t", $defs: { t: twice } }), undefined);
  let deep: object = { b: 1 };
  for (let i = 0; i < 100; i++) deep = { a: deep };
  const from = performance.now();
  assert.match(problems(deep).at(-1) ?? "", /a simpler document/);
  assert.ok(performance.now() - from < 500);
});

/** Both bounds in their order: a schema whose bounds are crossed is refused. */
const bounds = (least: string, most: string, from: number) =>
  fc
    .tuple(fc.integer({ min: from, max: 2 }), fc.integer({ min: 0, max: 3 }))
    .map(([a, b]) => ({ [least]: Math.min(a, b), [most]: Math.max(a, b) }));

test("ajv gives the same verdict on generated schemas and documents", () => {
  const { schema } = fc.letrec<{ schema: object; leaf: object }>((tie) => ({
    leaf: fc.oneof(
      fc.record({
        type: fc.constantFrom("string", "integer", "number", "boolean", "null", "array", "object"),
      }),
      fc.record({
        enum: fc.array(fc.oneof(fc.constantFrom("a", "b"), fc.integer({ min: 0, max: 3 })), { minLength: 1 }),
      }),
      bounds("minimum", "maximum", -2),
      bounds("minLength", "maxLength", 0),
      bounds("minItems", "maxItems", 0),
    ),
    schema: fc.oneof(
      { maxDepth: 3 },
      tie("leaf"),
      fc.record({
        properties: fc.dictionary(fc.constantFrom("a", "b", "c"), tie("schema"), { maxKeys: 3 }),
        required: fc.uniqueArray(fc.constantFrom("a", "b")),
        additionalProperties: fc.oneof(fc.boolean(), tie("schema")),
      }),
      fc.record({ items: tie("schema") }),
      fc.record({ anyOf: fc.array(tie("schema"), { minLength: 1, maxLength: 3 }) }),
    ),
  }));
  const { document } = fc.letrec<{ document: unknown }>((tie) => ({
    document: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom("", "a", "b", "é😀", "abcd", 0, 1, -1, 2.5, 3, true, null),
      fc.array(tie("document"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom("a", "b", "c", "d"), tie("document"), { maxKeys: 3 }),
    ),
  }));
  const ajv = new Ajv2020({ strict: false, addUsedSchema: false });
  fc.assert(
    fc.property(schema, fc.array(document, { minLength: 1, maxLength: 6 }), (s, documents) => {
      const unique = JSON.parse(JSON.stringify(s), (k, v) => (k === "enum" ? [...new Set(v)] : v));
      assert.equal(load(unique), undefined);
      const validate = ajv.compile(unique);
      for (const d of documents)
        assert.equal(problems(d).length === 0, validate(d), JSON.stringify([unique, d]));
    }),
    { numRuns: 400 },
  );
});
