// `weir doctor`: looks at a live installation from where a caller, a proxy and an operator stand, and says in words what
// is wrong and what to do. Keys come from the environment, so that no list of processes shows them, and are never printed.
import { parseArgs } from "node:util";
import { debitFinding, spentBy } from "../doctor/budget.ts";
import { examineEnvoy } from "../doctor/envoy.ts";
import { type Finding, fail, ok, warn } from "../doctor/finding.ts";
import { callerOf, ledgerCluster, parsePolicy, withoutSidecar } from "../doctor/policy.ts";
import { examineProxy } from "../doctor/proxy.ts";
import { examineSidecar } from "../doctor/sidecar.ts";
import { WeirError } from "../errors.ts";
import { remoteBooks } from "../ledger/remote-books.ts";
import { checkPolicy, problemsOf } from "./check.ts";
import { baseUrlOf, secretOf, UsageError } from "./usage.ts";

export const USAGE = `usage: weir doctor [--policy FILE] [--sidecar URL] [--proxy URL] [--envoy-admin URL] [--path PATH] [--model NAME]
                   [--timeout SECONDS] [--json]

looks at what is named, at least one of:
  --policy FILE        is it valid, and is it the one that Envoy has?
  --sidecar URL        does it answer, does its store, does it speak the ledger's protocol?   http://127.0.0.1:8081
  --proxy URL          real requests: a stranger, the key, an injection, forged headers, the largest body
  --envoy-admin URL    is the filter there, set up as its policy needs it, and is its cluster healthy?

  --path PATH          of a chat API behind the proxy (/v1/chat/completions)
  --model NAME         that the upstream has (gpt-4o-mini): one request for one token goes to it
  --timeout SECONDS    for each answer (10)
  --json               {"ok": …, "checks": [{"check", "level", "text", "fix"}]} instead of lines

environment: WEIR_KEY, a caller's key; WEIR_ADMIN_TOKEN, the sidecar's. With both, a sidecar and a policy (a file, or from
Envoy) it is seen whether the request was charged.

exit status: 0 no check failed, 1 one failed, 2 wrong usage`;

interface Options {
  readonly policy: string | undefined;
  readonly sidecar: string | undefined;
  readonly proxy: string | undefined;
  readonly admin: string | undefined;
  readonly path: string;
  readonly model: string;
  readonly timeoutMs: number;
  readonly key: string;
  readonly adminToken: string;
}

/** A file's policy as JSON, if it is one, and what is to say of it. */
function policyFindings(file: string): { findings: Finding[]; text: string | undefined } {
  const fix = `weir check ${file} names every problem`;
  let checked: ReturnType<typeof checkPolicy>;
  try {
    checked = checkPolicy(file);
  } catch (thrown) {
    return { findings: [fail("policy.valid", WeirError.from(thrown).message, fix)], text: undefined };
  }
  const [problem, ...more] = checked.problems;
  if (problem === undefined)
    return { findings: [ok("policy.valid", `${file} is valid`)], text: checked.policy };
  const others = more.length > 0 ? ` (and ${more.length} more)` : "";
  return { findings: [fail("policy.valid", `${problem}${others}`, fix)], text: undefined };
}

/** Members in one order: what deploys a policy may write them in another. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, member]) => [name, ordered(member)]));
}

/** Whether two JSON texts say the same. */
const same = (a: string, b: string) =>
  JSON.stringify(ordered(JSON.parse(a))) === JSON.stringify(ordered(JSON.parse(b)));

/** Everything that can be looked at with these options, in the order in which a request meets it. */
export async function examine(options: Options): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { timeoutMs, adminToken, key } = options;
  let text: string | undefined;
  if (options.policy !== undefined) {
    const read = policyFindings(options.policy);
    findings.push(...read.findings);
    text = read.text;
  }
  if (options.sidecar !== undefined)
    findings.push(...(await examineSidecar({ url: options.sidecar, timeoutMs, adminToken })));
  if (options.admin !== undefined) {
    const envoy = await examineEnvoy(options.admin, timeoutMs, problemsOf);
    findings.push(...envoy.findings);
    const given = text;
    const policies = (envoy.policies ?? []).filter((served) => parsePolicy(served));
    const found = policies.find((served) => given !== undefined && same(given, served));
    if (given !== undefined && policies.length > 0 && found === undefined)
      findings.push(
        warn(
          "envoy.policy",
          `Envoy serves with another policy than ${options.policy}`,
          "deploy it, or give the one that is deployed",
        ),
      );
    text = found ?? envoy.policies?.[0] ?? text;
  }
  const policy = text === undefined ? undefined : parsePolicy(text);
  const caller = policy && key !== "" ? callerOf(policy, key, Date.now()) : undefined;
  if (policy && key !== "") findings.push(keyFinding(caller));
  if (options.proxy === undefined) return findings;
  const books =
    options.sidecar !== undefined && adminToken !== "" && caller?.budgeted
      ? remoteBooks(options.sidecar, adminToken)
      : undefined;
  // Books that cannot be read have had their finding already.
  const before = books && (await spentBy(books, caller?.subject ?? "").catch(() => undefined));
  const proxy = await examineProxy({
    url: options.proxy,
    timeoutMs,
    key,
    path: options.path,
    model: options.model,
    caller,
    cluster: policy && withoutSidecar(policy).length > 0 ? ledgerCluster(policy) : undefined,
  });
  findings.push(...proxy.findings);
  if (proxy.passed && books && before && caller)
    findings.push(await debitFinding(books, caller.subject, before));
  return findings;
}

function keyFinding(caller: ReturnType<typeof callerOf>): Finding {
  if (!caller)
    return fail(
      "policy.key",
      "the key in WEIR_KEY is not in the policy",
      'its entry has the digest: printf %s "$WEIR_KEY" | sha256sum; weir keys new makes another',
    );
  const who = `the key is ${caller.subject}, tier ${caller.tier}`;
  if (caller.outdated)
    return fail("policy.key", `${who}, and it is not valid now`, "see expires and not_before of its entry");
  return ok("policy.key", who);
}

/** One line a finding. */
export function lineOf({ check, level, text, fix }: Finding): string {
  const mark = { ok: "ok  ", warn: "warn", fail: "FAIL" }[level];
  return `${mark}  ${check.padEnd(22)} ${text}${fix === undefined ? "" : ` → ${fix}`}`;
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      policy: { type: "string" },
      sidecar: { type: "string" },
      proxy: { type: "string" },
      "envoy-admin": { type: "string" },
      path: { type: "string", default: "/v1/chat/completions" },
      model: { type: "string", default: "gpt-4o-mini" },
      timeout: { type: "string", default: "10" },
      json: { type: "boolean", default: false },
    },
  });
  const { policy, path, model, json } = values;
  const urlOf = (name: "sidecar" | "proxy" | "envoy-admin") => {
    const url = values[name];
    return url === undefined ? undefined : baseUrlOf(`--${name}`, url);
  };
  if (!path.startsWith("/")) throw new UsageError(`--path: ${path}: expected a path that begins with /`);
  const urls = { sidecar: urlOf("sidecar"), proxy: urlOf("proxy"), admin: urlOf("envoy-admin") };
  if (policy === undefined && Object.values(urls).every((url) => url === undefined))
    throw new UsageError("expected one of --policy, --sidecar, --proxy, --envoy-admin");
  const timeoutMs = Number(values.timeout) * 1_000;
  if (!(timeoutMs > 0 && timeoutMs <= 600_000))
    throw new UsageError(`--timeout: ${values.timeout}: expected seconds, above 0 and at most 600`);
  const findings = await examine({
    policy,
    path,
    model,
    timeoutMs,
    ...urls,
    key: secretOf("WEIR_KEY"),
    adminToken: secretOf("WEIR_ADMIN_TOKEN"),
  });
  const failed = findings.filter(({ level }) => level === "fail").length;
  if (json) console.log(JSON.stringify({ ok: failed === 0, checks: findings }, null, 2));
  else {
    for (const finding of findings) console.log(lineOf(finding));
    const warned = findings.filter(({ level }) => level === "warn").length;
    console.log(`${findings.length} checks, ${warned} warnings, ${failed} failed`);
  }
  return failed === 0 ? 0 : 1;
}
