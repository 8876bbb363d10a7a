/**
 * A world for end-to-end tests: real Envoys from envoy/*.yaml exactly as written, the real sidecar on the embedded
 * store or a real redis-server, and a mock LLM (or an upstream of the test's own).
 *
 * Everything that was started is ended by `close`, by a failed start, and, if the test process dies, with it.
 * An Envoy takes seconds to start, so the tests of a file share one world and differ by keys, subjects and tiers. A test
 * names its keys; what is shown is `secret` of the name, and `close` looks for it in everything that was told meanwhile.
 * WEIR_WASM names another build of the filter than dist/weir.wasm.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MockLlm, startMockLlm } from "../../demo/mock-llm.ts";
import { type Envoy, freePort, root, startEnvoy, until } from "../../demo/processes.ts";
import { examine } from "../../sidecar/cli/doctor.ts";
import type { Finding } from "../../sidecar/doctor/finding.ts";
import { type EventsPart, openEvents } from "../../sidecar/events/open.ts";
import type { EventsSettings } from "../../sidecar/events/settings.ts";
import { combine } from "../../sidecar/extensions.ts";
import { startRedis, type TestRedis } from "../../sidecar/ledger/redis/testing.ts";
import { type BudgetRecord, describeKey, organisationOf } from "../../sidecar/ledger/types.ts";
import { observed } from "../../sidecar/log.ts";
import { type Extensions, type Sidecar, startSidecar } from "../../sidecar/server.ts";
import { makeSettings } from "../../sidecar/settings.ts";
import { leaks } from "./leaks.ts";

/** What waits for usage to be reported or leases to come back waits no longer. */
const SETTLED_MS = 15_000;
/** Ledger messages under way when a sidecar stops. */
const STOP_GRACE_MS = 2_000;

export interface WorldOptions {
  policy: object;
  /** Of each Envoy; 2 by default. */
  workers?: number;
  envoys?: number;
  sidecars?: number;
  /** Keeps the ledger in a real redis-server instead of the embedded store. */
  redis?: boolean;
  /** A configuration under envoy/. */
  template?: string;
  /** The port of an upstream that takes the mock LLM's place. */
  upstreamPort?: number;
  /** Without one nothing listens on its port. */
  sidecar?: boolean;
  /** What Envoy logs: `--log-level` and `--component-log-level`. */
  log?: { level: string; components: string };
  /** Changes the configuration of the Envoys before they start: for tests of other settings. */
  edit?: (text: string) => string;
  adminToken?: string;
  /** What else the sidecars do. */
  extensions?: Extensions;
  /** Where the sidecars' events go; counted in their own metrics. */
  events?: EventsSettings;
}

export interface CallOptions {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  /** Which Envoy; the first by default. */
  envoy?: number;
  /** The local address to come from. */
  from?: string;
  signal?: AbortSignal;
}

/** What tests look at in a body. Which of it is there, a test knows by the status. */
export interface AnswerBody {
  error: { type: string; code: string; message: string; param: string | null };
  object: string;
  choices: { message: { content: string } }[];
  usage: { total_tokens: number };
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body as JSON; an empty object when it is none. */
  json: AnswerBody;
  /** The body's `error.code`; undefined without one. */
  code: string | undefined;
}

export interface World {
  readonly llm: MockLlm;
  readonly envoys: readonly Envoy[];
  readonly sidecars: readonly Sidecar[];
  /** Where the Envoys look for the sidecars, also while these are down. */
  readonly sidecarPorts: readonly number[];
  readonly redis: TestRedis | undefined;
  /** Sends a body, a string as it is, anything else as JSON, with the key of this name. */
  call(key: string | undefined, body: unknown, options?: CallOptions): Promise<Answer>;
  /** Asks a chat completion of `gpt-4o`. */
  chat(key: string | undefined, content: string, options?: CallOptions & { body?: object }): Promise<Answer>;
  /** What the ledger knows of one budget in its newest window; undefined when it was never asked. */
  budget(subject: string, name: string): Promise<BudgetRecord | undefined>;
  /** Waits until the budget has exactly `spent`, and nothing is out in leases if `outstanding` is 0. */
  settled(subject: string, name: string, spent: number, outstanding?: 0): Promise<BudgetRecord>;
  /** A counter of the filter (or any whose name contains `name`), summed over all Envoys. */
  stat(name: string): Promise<number>;
  /**
   * All that the parts have told so far, by who told it: logs of the Envoys and of the sidecars, their metrics, the
   * Envoys' configuration as they show it, and what the ledger keeps. A part that tells more (events, traces) adds to
   * it by `keep`.
   */
  told(): Promise<Map<string, string>>;
  /** Adds to what `told` answers. */
  keep(who: string, text: () => string | Promise<string>): void;
  stopSidecar(): Promise<void>;
  startSidecar(): Promise<void>;
  restartEnvoy(): Promise<void>;
  close(): Promise<void>;
}

/** What the doctor finds by an Envoy's admin interface alone. */
export function examineEnvoy(admin: string): Promise<Finding[]> {
  const nothing = { policy: undefined, sidecar: undefined, proxy: undefined, key: "", adminToken: "" };
  return examine({ ...nothing, admin, path: "/v1/chat/completions", model: "gpt-4o", timeoutMs: 5_000 });
}

/** A part of every key of this run, and of nothing else. */
const MARK = randomBytes(12).toString("hex");

/** The key that a test calls `name`. `close` fails if any of them was told somewhere. */
export function secret(name: string): string {
  return `sk-${name}-${MARK}`;
}

/** The policy's entry for the key called `name`. */
export function keyEntry(name: string, subject: string, tier: string, more: object = {}): object {
  return { sha256: createHash("sha256").update(secret(name)).digest("hex"), subject, tier, ...more };
}

/** The body of a chat completion. */
export function chatBody(content: string, more: object = {}): object {
  return { model: "gpt-4o", messages: [{ role: "user", content }], ...more };
}

export { until };

/** Starts a world; throws, with nothing left running, when a part does not start. */
export async function world(options: WorldOptions): Promise<World> {
  const wasm = process.env.WEIR_WASM ?? join(root, "dist/weir.wasm");
  if (!existsSync(wasm)) throw new Error(`${wasm} is missing: run make wasm`);
  const endings: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const end of endings.splice(0).reverse()) await end();
  };
  try {
    return await assemble(options, wasm, endings, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function assemble(
  options: WorldOptions,
  wasm: string,
  endings: (() => Promise<unknown> | unknown)[],
  close: () => Promise<void>,
): Promise<World> {
  const llm = await startMockLlm();
  endings.push(() => llm.close());
  const redis = options.redis ? await startRedis() : undefined;
  if (redis) endings.push(() => redis.stop());
  const ledgers = await openSidecars(options, redis, endings);
  const agent = new Agent({ keepAlive: true });
  endings.push(() => agent.destroy());
  const envoys: Envoy[] = [];
  endings.push(() => Promise.all(envoys.map((envoy) => envoy.stop())));
  const settings = {
    policy: options.policy,
    wasm,
    concurrency: options.workers ?? 2,
    upstreamPort: options.upstreamPort ?? llm.port,
    ...(options.template && { template: options.template }),
    ...(options.edit && { edit: options.edit }),
    ...(options.log && { logLevel: options.log.level, componentLogLevel: options.log.components }),
  };
  for (let i = 0; i < (options.envoys ?? 1); i++) {
    const sidecarPort = ledgers.ports[i % ledgers.ports.length] as number;
    envoys.push(await envoyThatDiesWithUs({ ...settings, sidecarPort }));
  }
  const tellers = new Map<string, () => string | Promise<string>>();
  const restartEnvoy = async () => {
    const [old] = envoys as [Envoy];
    await old.stop();
    tellers.set(`log of the Envoy ${old.process.pid}, ended`, old.output);
    const sidecarPort = ledgers.ports[0] as number;
    envoys[0] = await envoyThatDiesWithUs({ ...settings, sidecarPort, port: old.port });
  };
  const tell = async (ask: (text: () => Promise<string>) => Promise<string>) => {
    const all = [...tellWorld(envoys, ledgers), ...tellers];
    const texts = all.map(async ([who, text]) => [who, await ask(async () => text())] as const);
    return new Map(await Promise.all(texts));
  };
  const budget = (subject: string, name: string) => readBudget(ledgers.running, subject, name);
  const call = (key: string | undefined, body: unknown, how: CallOptions = {}) =>
    send(agent, (envoys[how.envoy ?? 0] as Envoy).url, key, body, how);
  return {
    llm,
    envoys,
    sidecars: ledgers.running,
    sidecarPorts: ledgers.ports,
    redis,
    call,
    chat: (key, content, how = {}) => call(key, chatBody(content, how.body), how),
    budget,
    settled: (subject, name, spent, outstanding) =>
      awaitBudget(() => budget(subject, name), `${subject} ${name}`, spent, outstanding),
    stat: async (name) => {
      const pages = await Promise.all(envoys.map((envoy) => envoy.admin("/stats")));
      return pages.reduce((sum, page) => sum + sumOf(page, name), 0);
    },
    told: () => tell((text) => text()),
    keep: (who, text) => void tellers.set(who, text),
    stopSidecar: ledgers.stop,
    startSidecar: ledgers.start,
    restartEnvoy,
    close: async () => {
      // A part that is away by now has told its log only.
      const told = await tell(async (text) => text().catch(() => ""));
      await close();
      // What an Envoy wrote last is read when it has ended.
      for (const [i, envoy] of envoys.entries()) told.set(`log of Envoy ${i}`, envoy.output());
      assert.deepEqual(leaks(told, [MARK]), [], "a key was told");
    },
  };
}

/** Who tells what in a world, to be asked when it is wanted. */
function tellWorld(
  envoys: readonly Envoy[],
  ledgers: { running: readonly Sidecar[]; log: readonly string[] },
): Map<string, () => string | Promise<string>> {
  const told = new Map<string, () => string | Promise<string>>();
  envoys.forEach((envoy, i) => {
    told.set(`log of Envoy ${i}`, envoy.output);
    for (const page of ["/stats", "/stats/prometheus", "/config_dump", "/clusters"])
      told.set(`Envoy ${i} ${page}`, () => envoy.admin(page));
  });
  told.set("log of the sidecars", () => ledgers.log.join("\n"));
  ledgers.running.forEach(({ ledger, port }, i) => {
    told.set(`metrics of sidecar ${i}`, async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
    told.set(`ledger of sidecar ${i}`, async () => {
      const books = (name: string) => [ledger.budgets(name), ledger.leases(name), ledger.journal(name)];
      const all = (await ledger.organisations()).map((name) => Promise.all(books(name)));
      return JSON.stringify(await Promise.all(all));
    });
  });
  return told;
}

async function envoyThatDiesWithUs(options: Parameters<typeof startEnvoy>[0]): Promise<Envoy> {
  const envoy = await startEnvoy(options);
  const kill = () => envoy.process.kill("SIGKILL");
  process.once("exit", kill);
  envoy.process.once("close", () => process.off("exit", kill));
  return envoy;
}

/** The sidecars of a world, which can be stopped and started again on the same ports and the same data. */
async function openSidecars(
  options: WorldOptions,
  redis: TestRedis | undefined,
  endings: (() => Promise<unknown> | unknown)[],
) {
  const directory = mkdtempSync(join(tmpdir(), "weir-e2e-"));
  endings.push(() => rmSync(directory, { recursive: true, force: true }));
  const running: Sidecar[] = [];
  const ports: number[] = [];
  const log: string[] = [];
  const ledger = redis
    ? ({ kind: "redis", urls: redis.urls, cluster: false } as const)
    : ({ kind: "embedded", directory } as const);
  const parts: EventsPart[] = [];
  const stop = async () => {
    await Promise.all(running.splice(0).map((sidecar) => sidecar.close()));
    await Promise.all(parts.splice(0).map((part) => part.close()));
  };
  const start = async () => {
    for (const port of ports) {
      const { adminToken = "" } = options;
      const settings = makeSettings({ port, ledger, adminToken, stopGraceMs: STOP_GRACE_MS });
      const told = observed(settings, (_level, line) => log.push(line));
      const { registry } = told;
      const events = options.events && (await openEvents(options.events, { registry }));
      if (events) parts.push(events);
      const extensions = combine(told, events?.extensions ?? {}, options.extensions ?? {});
      running.push(await startSidecar(settings, extensions));
    }
  };
  for (let i = 0; i < (options.sidecars ?? 1); i++) ports.push(await freePort());
  endings.push(stop);
  if (options.sidecar !== false) await start();
  return { running, ports, log, start, stop };
}

/** By node:http, not fetch: it lets a test choose the address that it comes from. */
async function send(
  agent: Agent,
  url: string,
  key: string | undefined,
  body: unknown,
  how: CallOptions,
): Promise<Answer> {
  const outgoing = request(url + (how.path ?? "/v1/chat/completions"), {
    agent,
    method: how.method ?? "POST",
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(key && { authorization: `Bearer ${secret(key)}` }),
      ...how.headers,
    },
    ...(how.from && { localAddress: how.from }),
    ...(how.signal && { signal: how.signal }),
  });
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  outgoing.end(body === undefined || typeof body === "string" ? body : JSON.stringify(body));
  const [response] = await answered;
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  const headers = new Headers();
  for (const [name, values] of Object.entries(response.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const json = parsed(text);
  return { status: response.statusCode ?? 0, headers, text, json, code: json.error?.code };
}

function parsed(text: string): AnswerBody {
  try {
    return JSON.parse(text);
  } catch {
    return {} as AnswerBody;
  }
}

async function readBudget(
  sidecars: readonly Sidecar[],
  subject: string,
  name: string,
): Promise<BudgetRecord | undefined> {
  const records = await (sidecars[0] as Sidecar).ledger.budgets(organisationOf(subject));
  return records
    .filter(({ key }) => describeKey(key).subject === subject && describeKey(key).name === name)
    .at(-1);
}

async function awaitBudget(
  read: () => Promise<BudgetRecord | undefined>,
  what: string,
  spent: number,
  outstanding: 0 | undefined,
): Promise<BudgetRecord> {
  let record: BudgetRecord | undefined;
  const expected = async () => {
    record = await read();
    return record?.spent === spent && (outstanding === undefined || record.outstanding === outstanding);
  };
  await until(what, expected, SETTLED_MS).catch(() => {
    throw new Error(`${what}: expected spent ${spent}, the ledger has ${JSON.stringify(record)}`);
  });
  return record as BudgetRecord;
}

/** The sum of the numbers in a page of /stats of which the name contains `name`. */
function sumOf(page: string, name: string): number {
  let sum = 0;
  for (const line of page.split("\n")) {
    const [stat = "", value = ""] = line.split(": ");
    if (stat.includes(name) && /^\d+$/.test(value)) sum += Number(value);
  }
  return sum;
}
