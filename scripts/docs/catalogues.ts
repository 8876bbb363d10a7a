// Pages made from the catalogues: verdicts, metrics and headers.
import { readdirSync } from "node:fs";
import { names, problems, read, root, same, table } from "./page.ts";

interface Verdict {
  code: string;
  status: number;
  type: string;
  when: string;
  do: string;
}

export function verdicts(): string {
  const list = JSON.parse(read("catalog/verdicts.json")) as Verdict[];
  const rows = list.map((v) => [`\`${v.code}\``, String(v.status), `\`${v.type}\``, v.when, v.do]);
  return `# Verdicts

Every request ends with one verdict: \`ok\`, or the code of a refusal. Codes are stable. The code is in the header
\`x-weir-verdict\`, in the body's \`error.code\`, and in the label \`verdict\` of \`weir_requests_total\`.

${table(["code", "status", "error.type", "when", "what to do"], rows)}

The body is the one that OpenAI's clients turn into typed errors, with the \`type\` around it that Anthropic's look for:

\`\`\`json
{"type":"error","error":{"type":"invalid_request_error","code":"empty_prompt","message":"The prompt is empty: /messages/0/content must contain a non-empty text.","param":"/messages/0/content"}}
\`\`\`

\`param\` is a JSON pointer to the member that is to blame, or null. Retrying helps for 429 and 503 (wait for \`retry-after\`)
and for nothing else. Where the wait is more than a minute, and with \`answer_unreadable\`, \`x-should-retry: false\` keeps clients from retrying by themselves.
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

export function metrics(): string {
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

Beside them Envoy counts \`envoy_wasm_weir_vm_reload_success\`, a VM started anew after a trap (\`…_failure\`: one that could not be), and tells the proxies'
side of the ledger's latency in \`envoy_cluster_upstream_rq_time{envoy_cluster_name="weir_sidecar"}\`, in milliseconds.

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

export function headers(): string {
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

Names are compared without regard to case. Every header of a request that starts with \`x-weir-\`, or would
with \`-\` in the place of \`_\` (which CGI and WSGI do not tell apart), is removed: only the filter may say what they say. More than 16 of them, or a header map that the proxy cannot hand over, is refused with 431 (\`too_many_headers\`).

${part("Of the client's request", ["request", "both"])}
${part("To the upstream", ["upstream"])}
${part("Of the answer", ["answer", "both"])}`;
}
