/**
 * kong/filter/weir.meta.json out of catalog/policy.schema.json: what Kong's Admin API checks before it takes a policy.
 * Kong knows JSON Schema draft 4 only, and without this file takes a filter's configuration as one string.
 *
 *   npx tsx scripts/kong-schema.ts [--check]      --check writes nothing and fails when the file is stale
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deriveByArguments } from "./derived.ts";
import { at } from "./sources.ts";

const SOURCE = "catalog/policy.schema.json";
const TARGET = "kong/filter/weir.meta.json";

/**
 * How Kong's prometheus plugin finds labels in the names of Weir's metrics, weir_requests_total.tier.pro.verdict.ok: Lua
 * patterns of two captures, what is taken off the name and the label's value.
 */
const LABEL_PATTERNS = [
  { label: "tier", pattern: "(%.tier%.([%w_-]+))" },
  { label: "verdict", pattern: "(%.verdict%.([%a_]+))" },
  { label: "purpose", pattern: "(%.purpose%.([%a]+))" },
];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Schema = { [key: string]: Json };

/** Keywords that draft 4 has and that mean the same there. The source may hold no other, or this would lose them. */
const SHARED = new Set(
  (
    "description title type enum properties additionalProperties required items minItems maxItems minimum maximum " +
    "minLength maxLength pattern anyOf allOf oneOf not"
  ).split(" "),
);

function node(schema: Json, path: string): Json {
  if (typeof schema === "boolean") return schema;
  if (schema === null || typeof schema !== "object" || Array.isArray(schema))
    throw new Error(`${path}: expected a schema`);
  const out: Schema = {};
  for (const [key, value] of Object.entries(schema)) {
    const at = `${path}/${key}`;
    if (key === "$ref") out.$ref = (value as string).replace("#/$defs/", "#/definitions/");
    else if (key === "$defs") out.definitions = map(value as Schema, at);
    else if (key === "properties") out.properties = map(value as Schema, at);
    else if (key === "items" || (key === "additionalProperties" && typeof value === "object"))
      out[key] = node(value, at);
    else if (["anyOf", "allOf", "oneOf"].includes(key))
      out[key] = (value as Json[]).map((part, index) => node(part, `${at}/${index}`));
    else if (SHARED.has(key)) out[key] = value;
    // Kong would write defaults into what the filter gets; the filter has its own. Formats are Weir's: it checks them.
    else if (!["default", "format", "$schema"].includes(key))
      throw new Error(`${at}: draft 4 has no such keyword`);
  }
  if (schema.default !== undefined && typeof out.description === "string")
    out.description += ` Default: ${JSON.stringify(schema.default)}.`;
  return out;
}

const map = (schemas: Schema, path: string): Schema =>
  Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, node(schema, `${path}/${name}`)]),
  );

const LINE_WIDTH = 110;

/** JSON as the formatter of this project leaves it: objects over several lines, lists on one where they fit. */
function print(value: Json, indent: string, taken = 0): string {
  const inner = `${indent}  `;
  const lines = (parts: string[], open: string, close: string) =>
    parts.length === 0 ? open + close : `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`;
  if (Array.isArray(value)) {
    const flat = `[${value.map((item) => JSON.stringify(item)).join(", ")}]`;
    const simple = value.every((item) => item === null || typeof item !== "object");
    if (simple && indent.length + taken + flat.length < LINE_WIDTH) return flat;
    return lines(
      value.map((item) => print(item, inner)),
      "[",
      "]",
    );
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => {
    const name = `${JSON.stringify(key)}: `;
    return name + print(member, inner, name.length);
  });
  return lines(members, "{", "}");
}

/** The metadata of the filter for Kong, as text. `policy` is the policy's schema as text. */
export function kongMeta(policy: string): string {
  const schema = node(JSON.parse(policy) as Json, "") as {
    properties: Record<string, Schema>;
    required: string[];
  } & Schema;
  schema.$schema = "http://json-schema.org/draft-04/schema#";
  const { ledger, hold_headers: hold } = schema.properties;
  const cluster = (ledger?.properties as Record<string, Schema> | undefined)?.cluster;
  if (!ledger || !cluster || !hold) throw new Error(`${SOURCE}: ledger.cluster or hold_headers is gone`);
  // Kong has no clusters: a callout goes to an address.
  cluster.description = "Where it is: host:port, or unix:/path.";
  cluster.pattern = "^([^:/ ]+:[0-9]{1,5}|unix:/.+)$";
  ledger.required = ["cluster"];
  // Its default is a name: what needs the ledger would find none, and `outage: allow` would let everything pass.
  const withBudget = ["tokens", "cost", "budgets"].map((key) => ({ required: [key] }));
  const needsLedger = ["rules", "events"].map((key) => ({ required: [key] }));
  schema.anyOf = [
    { required: ["ledger"] },
    {
      not: { anyOf: needsLedger },
      properties: { tiers: { additionalProperties: { not: { anyOf: withBudget } } } },
    },
  ];
  hold.description = "Without effect on Kong: nginx sends nothing upstream before the body is judged.";
  return `${print({ config_schema: schema, metrics: { label_patterns: LABEL_PATTERNS } }, "")}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  deriveByArguments({ [TARGET]: kongMeta(readFileSync(at(SOURCE), "utf8")) }, "scripts/kong-schema.ts");
