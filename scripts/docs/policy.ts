// The page of the policy, made from its schema.
import { names, read, same, table } from "./page.ts";

interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  format?: string;
  enum?: unknown[];
  default?: unknown;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxLength?: number;
  $defs?: Record<string, Schema>;
}

/** How each format is written, and an example. */
const FORMATS: Record<string, [string, string]> = {
  rate: [
    "`LIMIT/UNIT` or `LIMIT/UNIT burst N`; units s (sec, second), min (m, minute), h (hr, hour), d (day). The burst is the limit unless given.",
    "60/min burst 10",
  ],
  quantity: [
    "A whole number, or one with k, M, G (powers of 1,000) or Ki, Mi (powers of 1,024), up to three decimals.",
    "16k",
  ],
  budget: ["`QUANTITY/WINDOW`; windows hour, day, week, month.", "1M/month"],
  cost: ["`$AMOUNT/WINDOW`; at most six decimals.", "$50/month"],
  amount: ["A quantity, or for cost `$AMOUNT`.", "1M"],
  percent: ["A share with at most four decimals; 0.0001% to 100%.", "5%"],
  money: ["`$AMOUNT`, at most six decimals.", "$2.50"],
  duration: ["A whole number with ms, s, m or h; 1ms to 24h.", "2s"],
  moment: ["RFC 3339 in UTC, to the second.", "2027-01-01T00:00:00Z"],
  digest: ["64 hexadecimal digits.", "2f01c4646e1f1fd8f4b29534fc77c49c5c3c88251b3fb24d07b9c1f77b9e0a7f"],
  subject: [
    "One to three segments of letters, digits, `.`, `_`, `-`; at most 96 bytes.",
    "acme/search/key-7",
  ],
  claimed_subject: [
    "One to three segments as a subject has, of which at least one is a claim in braces.",
    "acme/{team}/{sub}",
  ],
  claimed_tier: ["A tier's name, or a claim in braces.", "{plan}"],
  network: ["An IPv4 or IPv6 network, or one address.", "10.0.0.0/8"],
  name: ["Printable ASCII without spaces, `,`, `|`, `\\`, `{`, `}`; at most 128 bytes.", "search-tokens"],
  model: ["As a name; a trailing `*` matches any rest.", "gpt-4*"],
  path: ["A path without its query; a trailing * matches any rest.", "/v1/audio/*"],
  rule_id: ["A name of lower-case letters, digits, `.` and `-`.", "acme.project-titan"],
  url: ["An HTTP URL without user, password and fragment.", "https://api.openai.com/v1/moderations"],
  key_name: ["The name of a key: lower-case letters, digits and `_`.", "openai"],
  cluster: ["A cluster's name, or on Kong `host:port` or `unix:/path`; no URL.", "weir_sidecar"],
  zone: ["An IANA time zone.", "Europe/Berlin"],
};

/** Where the type alone does not say what people would write. */
const EXAMPLES: Record<string, string> = {
  "keys[].tier": "pro",
  "tiers.NAME.prompt.max_bytes": "256Ki",
  "tiers.NAME.prompt.threshold": "900",
  "tiers.NAME.prompt.untrusted_threshold": "600",
  "tiers.NAME.budgets[].billing_day": "15",
  "identity.trusted_hops": "1",
  "identity.claims.metadata": "jwt",
  "keys[].models": "[gpt-4o-mini, text-embedding-3*]",
  "tiers.NAME.response.redact": "[email, phone]",
  "tiers.NAME.response.patterns": "[Project Titan]",
  "tiers.NAME.response.canaries": "[You are the assistant of Acme]",
};

export function policyReference(): string {
  const schema = JSON.parse(read("catalog/policy.schema.json")) as Schema;
  const known = names(read("assembly/policy/formats.ts"), /is\(format, "(\w+)"\)/g);
  same("scripts/docs/policy.ts: formats", known, Object.keys(FORMATS));
  const sections: string[] = [];
  let rows: string[][] = [];
  for (const [name, part] of Object.entries(schema.properties ?? {})) {
    rows = [];
    walk(name, part, schema, schema.required?.includes(name) ?? false, rows);
    const heads = ["path", "type", "default", "meaning", "example"];
    sections.push(`## ${name}\n\n${table(heads, rows)}\n`);
  }
  const formats = Object.entries(FORMATS).map(([name, [how, example]]) => [name, how, `\`${example}\``]);
  return `# Policy

${schema.description}

One document, in YAML or JSON for people and in JSON for the proxy. An unknown key, a value of the wrong form, or a name that
refers to nothing is refused with its path; \`weir check FILE\` says the same as the proxy. \`NAME\` and \`MODEL\` stand for names
of your own, \`[]\` for each entry of a list. At most 1 MiB (some 8,000 keys), 65,536 values, 20,000 keys, 8 budgets and 4 rates a tier.

${sections.join("\n")}
## How values are written

${table(["type", "form", "example"], formats)}
`;
}

function walk(path: string, node: Schema, schema: Schema, required: boolean, rows: string[][]): void {
  const part = node.$ref ? { ...schema.$defs?.[node.$ref.replace("#/$defs/", "")], ...node } : node;
  const standard =
    part.default === undefined ? (required ? "required" : "none") : `\`${JSON.stringify(part.default)}\``;
  rows.push([`\`${path}\``, typeName(part), standard, part.description ?? "", exampleOf(path, part)]);
  for (const [name, child] of Object.entries(part.properties ?? {}))
    walk(`${path}.${name}`, child, schema, part.required?.includes(name) ?? false, rows);
  if (typeof part.additionalProperties === "object")
    walk(`${path}.${path === "prices" ? "MODEL" : "NAME"}`, part.additionalProperties, schema, false, rows);
  for (const other of part.anyOf ?? [])
    for (const [name, child] of Object.entries(other.properties ?? {}))
      walk(`${path}.${name}`, child, schema, false, rows);
  if (part.items && (part.items.$ref || part.items.properties))
    walk(`${path}[]`, part.items, schema, false, rows);
}

function typeName(part: Schema): string {
  if (part.enum) return part.enum.map((value) => `\`${value}\``).join(", ");
  if (part.anyOf) return part.anyOf.map(typeName).join(", or ");
  if (part.items) {
    const most = part.maxItems === undefined ? "" : ` (at most ${part.maxItems.toLocaleString("en")})`;
    return `list of ${part.items.$ref ? "objects" : typeName(part.items)}${most}`;
  }
  const range = part.minimum === undefined ? "" : ` ${part.minimum} to ${part.maximum}`;
  return (part.format ?? [part.type ?? "object"].flat().join(" or ")) + range;
}

function exampleOf(path: string, part: Schema): string {
  const given = EXAMPLES[path] ?? (part.format && FORMATS[part.format]?.[1]);
  if (given) return `\`${given}\``;
  if (part.enum) return `\`${part.enum.find((value) => value !== part.default)}\``;
  if (part.anyOf) return exampleOf("", part.anyOf[0] ?? {});
  if (part.items && !part.items.$ref) return exampleOf("", part.items).replace(/`(.+)`/, "`[$1]`");
  if (part.type === "boolean") return `\`${!part.default}\``;
  return "";
}
