/**
 * What the chart holds in copy, from where it is written: Envoy's configurations, dashboard and alert rules (a chart can
 * only read files inside of itself), and values.schema.json, which is the chart's own schema with the policy's put in.
 *
 *   npx tsx deploy/sync.ts [--check]      --check writes nothing and fails when a copy is stale
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deriveByArguments } from "../scripts/derived.ts";
import { at } from "../scripts/sources.ts";

const read = (path: string) => readFileSync(at(path), "utf8");

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Schema = { [key: string]: Json };

const COPIES: Record<string, string> = {
  "deploy/helm/weir/files/envoy/weir.yaml": "envoy/weir.yaml",
  "deploy/helm/weir/files/envoy/weir-no-hold.yaml": "envoy/weir-no-hold.yaml",
  "deploy/helm/weir/files/observability/dashboard.json": "deploy/observability/dashboard.json",
  "deploy/helm/weir/files/observability/alerts.yaml": "deploy/observability/alerts.yaml",
};

/**
 * The policy's schema as a part of another: its definitions under names of their own. `format` goes, because Weir's
 * formats share names with standard ones that mean something else (`duration`), and so does `required`: values may come
 * in several files, and the chart's templates refuse a policy without tiers with a better sentence.
 */
function embedded(node: Json, top = true): Json {
  if (Array.isArray(node)) return node.map((item) => embedded(item, false));
  if (node === null || typeof node !== "object") return node;
  const out: Schema = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === "format" && typeof value === "string") continue;
    if (top && ["$schema", "$defs", "required"].includes(key)) continue;
    out[key] =
      key === "$ref" && typeof value === "string"
        ? value.replace("#/$defs/", "#/$defs/policy_")
        : embedded(value, false);
  }
  return out;
}

/**
 * Requires every part that has parts of its own: a heading in a values file whose lines are all comments is null to Helm, which then
 * drops the chart's defaults below it, and the templates would stumble without saying over what.
 */
function requireSections(node: Schema, definitions: Schema): void {
  const properties = node.properties as Schema | undefined;
  if (!properties) return;
  const sections = Object.entries(properties).flatMap(([name, value]) => {
    const { $ref } = value as Schema;
    const section = (typeof $ref === "string" ? definitions[$ref.replace("#/$defs/", "")] : value) as Schema;
    requireSections(section, definitions);
    // Resources are taken as a whole, and may be none.
    return section.properties && name !== "resources" ? [name] : [];
  });
  const required = (node.required as string[] | undefined) ?? [];
  if (sections.length > 0) node.required = [...new Set([...required, ...sections])];
}

/** values.schema.json as text. */
function valuesSchema(chart: string, policy: string): string {
  const values = JSON.parse(chart) as Schema;
  const source = JSON.parse(policy) as Schema;
  requireSections(values, values.$defs as Schema);
  const definitions = Object.entries(source.$defs as Schema).map(([name, node]) => [
    `policy_${name}`,
    embedded(node, false),
  ]);
  values.$defs = { ...(values.$defs as Schema), ...Object.fromEntries(definitions) };
  (values.properties as Schema).policy = embedded(source);
  return `${JSON.stringify(values, null, 2)}\n`;
}

/** Every derived file and what it should hold. */
export function outputs(): Record<string, string> {
  const made = Object.fromEntries(Object.entries(COPIES).map(([to, from]) => [to, read(from)]));
  made["deploy/helm/weir/values.schema.json"] = valuesSchema(
    read("deploy/helm/values.schema.source.json"),
    read("catalog/policy.schema.json"),
  );
  return made;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) deriveByArguments(outputs(), "deploy/sync.ts");
