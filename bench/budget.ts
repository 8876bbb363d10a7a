// What a global token budget costs, and whether it holds. Side by side: bare Envoy, Weir with local limits only, Weir with
// a budget by leases, the same filter with leases off (a callout for each request), and envoyproxy/ratelimit where Go can
// build it. All on one kind of Redis (synced once a second or never, for each alike).
//
//  1. Cost: requests at a steady pace, the contestants in turn, round by round. Latency is what the client sees, CPU is that
//     of each process; both are medians of differences to bare Envoy in the same round.
//  2. Overshoot: 64 connections at once use up one budget. What was admitted is counted from the answers.
//
//   npx tsx bench/budget.ts [--rounds 7] [--seconds 3] [--rate 300]
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Child, type Envoy, freePort, root, start, until } from "../demo/processes.ts";
import { startRedis, type TestRedis } from "../sidecar/ledger/redis/testing.ts";
import { listen, send, startVariant, stopVariant, type Upstream, type Variant } from "./load.ts";
import { cpuMicros, median, optionsOf, printTable, record } from "./measure.ts";
import { hasRatelimit, startRatelimit, withRatelimit } from "./rivals/ratelimit.ts";
import { without } from "./without.ts";

const CONNECTIONS = 64;
/** What each answer says it used: the longest that was asked for, and the prompt as OpenAI counts a chat of "Hi". */
const ANSWER_TOKENS = 90;
const PROMPT_TOKENS = 8;
const AMPLE = 1e12;
/** Of the budget that is used up. */
const SMALL = 20_000;
const UPSTREAM_MS = 30;

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** An LLM that takes `delayMs` and tells its usage both in the body and in a header, for rivals that cannot read bodies. */
function startUpstream(delayMs: () => number): Promise<Upstream> {
  return listen((incoming, response) => {
    incoming.resume();
    incoming.on("end", () => {
      const usage = {
        prompt_tokens: PROMPT_TOKENS,
        completion_tokens: ANSWER_TOKENS,
        total_tokens: PROMPT_TOKENS + ANSWER_TOKENS,
      };
      const answer = JSON.stringify({ id: "x", object: "chat.completion", choices: [], usage });
      const reply = () =>
        response
          .writeHead(200, { "content-type": "application/json", "x-tokens": String(usage.total_tokens) })
          .end(answer);
      if (delayMs() > 0) setTimeout(reply, delayMs());
      else reply();
    });
  });
}

interface Contestant extends Variant {
  /** The processes that decide beside Envoy. */
  readonly deciders: () => number[];
  readonly rounds: { p50: number; p99: number; envoy: number; deciders: number }[];
}

interface Sent {
  readonly status: number;
  readonly ms: number;
  readonly tokens: number;
}

const body = JSON.stringify({
  model: "gpt-4o",
  max_tokens: ANSWER_TOKENS,
  messages: [{ role: "user", content: "Hi" }],
});

async function ask(contestant: Contestant, key: string): Promise<Sent> {
  const { status, text, ms } = await send(contestant, body, { key });
  return { status, ms, tokens: status === 200 ? JSON.parse(text).usage.total_tokens : 0 };
}

const quantile = (sorted: number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;

/** Requests at `rate` per second, whatever the answers take. */
async function pace(contestant: Contestant, key: string, rate: number, seconds: number): Promise<Sent[]> {
  const total = rate * seconds;
  const begun = performance.now();
  const calls: Promise<Sent>[] = [];
  while (calls.length < total) {
    const due = Math.min(total, Math.floor(((performance.now() - begun) / 1000) * rate));
    while (calls.length < due) calls.push(ask(contestant, key));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return Promise.all(calls);
}

async function measureRound(contestant: Contestant, key: string, rate: number, seconds: number) {
  const cpu = () => ({
    envoy: cpuMicros(contestant.envoy.process.pid!),
    deciders: contestant.deciders().reduce((sum, pid) => sum + cpuMicros(pid), 0),
  });
  const before = cpu();
  const sent = await pace(contestant, key, rate, seconds);
  const after = cpu();
  const wrong = sent.find(({ status }) => status !== 200);
  if (wrong) throw new Error(`${contestant.name}: ${wrong.status} instead of 200`);
  const sorted = sent.map(({ ms }) => ms).sort((a, b) => a - b);
  contestant.rounds.push({
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    envoy: (after.envoy - before.envoy) / sent.length,
    deciders: (after.deciders - before.deciders) / sent.length,
  });
}

interface Lab {
  readonly contestants: Contestant[];
  readonly keys: { ample: string; small: string };
  close(): Promise<void>;
}

/** The sidecar as it is deployed: a process of its own. */
async function startSidecar(redis: TestRedis, port: number): Promise<Child> {
  const sidecar = start(process.execPath, [join(root, "dist/weir.js"), "sidecar"], {
    env: { WEIR_SIDECAR_PORT: String(port), WEIR_REDIS_URL: redis.urls[0] ?? "" },
  });
  await until("the sidecar", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
  return sidecar;
}

function policies(organisation: string, keys: { ample: string; small: string }) {
  const entries = (tier: string) =>
    Object.entries(keys).map(([name, key]) => ({
      sha256: sha256(key),
      subject: `${organisation}-${tier}/${name}`,
      tier: name,
    }));
  const requests = "1M/s";
  const tier = (limit: number) => ({ requests, budgets: [{ meter: "tokens", limit, window: "month" }] });
  const budgets = { ample: tier(AMPLE), small: tier(SMALL) };
  return {
    local: { tiers: { ample: { requests }, small: { requests } }, keys: entries("local") },
    leases: { tiers: budgets, keys: entries("leases") },
    callouts: { tiers: budgets, keys: entries("callouts"), ledger: { leases: false } },
  };
}

async function openLab(upstreamPort: number): Promise<Lab> {
  const endings: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const end of endings.splice(0).reverse()) await end();
  };
  const keys = { ample: "bench-ample", small: "bench-small" };
  const contestants: Contestant[] = [];
  try {
    const redis = await startRedis({ durable: false });
    endings.push(() => redis.stop());
    const sidecarPort = await freePort();
    const sidecar = await startSidecar(redis, sidecarPort);
    endings.push(() => sidecar.stop());
    const add = async (
      name: string,
      policy: unknown,
      deciders: () => number[],
      edit?: (text: string) => string,
    ) => {
      const common = { policy, upstreamPort, sidecarPort };
      const variant = await startVariant(name, edit ? { ...common, edit } : common, CONNECTIONS);
      endings.push(() => stopVariant(variant));
      contestants.push({ ...variant, deciders, rounds: [] });
    };
    const of = policies(`bench-${randomBytes(4).toString("hex")}`, keys);
    const ledger = () => [sidecar.process.pid!, ...redis.pids];
    await add("bare", of.local, () => [], without);
    await add("weir, local limits", of.local, () => []);
    await add("weir, budget by leases", of.leases, ledger);
    await add("weir, leases off", of.callouts, ledger);
    if (hasRatelimit()) {
      const other = await startRedis({ durable: false });
      endings.push(() => other.stop());
      const rival = await startRatelimit(other.urls[0]!, { unit: "hour", perUnit: 4_000_000_000 });
      endings.push(() => rival.stop());
      const pids = () => [rival.child.process.pid!, ...other.pids];
      await add("envoyproxy/ratelimit", of.local, pids, (text) => withRatelimit(text, rival.port));
      const small = await startRatelimit(other.urls[0]!, { unit: "hour", perUnit: SMALL });
      endings.push(() => small.stop());
      await add("envoyproxy/ratelimit, small", of.local, pids, (text) => withRatelimit(text, small.port));
    }
    return { contestants, keys, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function stat(envoy: Envoy, name: string): Promise<number> {
  const page = await envoy.admin("/stats");
  return page
    .split("\n")
    .filter((line) => line.includes(name))
    .reduce((sum, line) => sum + Number(line.split(": ")[1] ?? 0), 0);
}

/** The share of budgeted requests that asked nobody, in percent. */
async function answeredLocally(envoy: Envoy, since: { hits: number; acquires: number }): Promise<number> {
  const hits = (await stat(envoy, "weir_lease_hits_total")) - since.hits;
  const acquires = (await stat(envoy, "weir_acquires_total")) - since.acquires;
  return (100 * hits) / Math.max(1, hits + acquires);
}

const SMALL_ONLY = /, small$/;

async function cost({ contestants, keys }: Lab, rounds: number, rate: number, seconds: number) {
  const racing = contestants.filter(({ name }) => !SMALL_ONLY.test(name));
  for (const contestant of racing) await pace(contestant, keys.ample, rate, 3);
  const leases = racing.find(({ name }) => name === "weir, budget by leases")!;
  const since = {
    hits: await stat(leases.envoy, "weir_lease_hits_total"),
    acquires: await stat(leases.envoy, "weir_acquires_total"),
  };
  for (let i = 0; i < rounds; i++)
    for (const contestant of racing) await measureRound(contestant, keys.ample, rate, seconds);
  const local = await answeredLocally(leases.envoy, since);
  const [first] = racing;
  const rows = racing.map(({ name, rounds: own }) => {
    const over = (pick: (round: Contestant["rounds"][0]) => number) =>
      median(own.map((round, i) => pick(round) - pick(first!.rounds[i]!)));
    return {
      contestant: name,
      "p50 added ms": over(({ p50 }) => p50).toFixed(2),
      "p99 added ms": over(({ p99 }) => p99).toFixed(2),
      "Envoy CPU added µs": over(({ envoy }) => envoy).toFixed(1),
      "deciders' CPU µs": median(own.map(({ deciders }) => deciders)).toFixed(1),
      "CPU per decision µs": over(({ envoy, deciders }) => envoy + deciders).toFixed(1),
    };
  });
  const limits = racing.find(({ name }) => name === "weir, local limits")!;
  const more = median(leases.rounds.map(({ envoy }, i) => envoy - limits.rounds[i]!.envoy)).toFixed(1);
  console.log(`\n${rate} requests a second, medians of ${rounds} rounds, added to bare Envoy\n`);
  printTable(rows);
  console.log(`\nby leases, ${local.toFixed(2)} % of the requests asked nobody`);
  console.log(`a budget by leases costs Envoy ${more} µs more than local limits only`);
  return { rows, local, more };
}

/** 64 connections ask until each has been refused several times in a row. */
async function useUp(contestant: Contestant, key: string): Promise<{ admitted: number; refused: number }> {
  let admitted = 0;
  let refused = 0;
  const worker = async () => {
    for (let inARow = 0; inARow < 5; ) {
      const { status, tokens } = await ask(contestant, key);
      if (status === 200) {
        admitted += tokens;
        inARow = 0;
      } else if (status === 402 || status === 429) {
        refused++;
        inARow++;
        await new Promise((resolve) => setTimeout(resolve, 200));
      } else throw new Error(`${contestant.name}: ${status}`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return { admitted, refused };
}

async function overshoot({ contestants, keys }: Lab) {
  const racing = contestants.filter(({ name }) => /leases/.test(name) || SMALL_ONLY.test(name));
  const rows = [];
  for (const contestant of racing) {
    const { admitted, refused } = await useUp(contestant, keys.small);
    if (!SMALL_ONLY.test(contestant.name) && admitted > SMALL)
      throw new Error(`${contestant.name}: ${admitted} admitted of ${SMALL}`);
    // A rival that counts at all is over by no more than what was in flight: else it is set up wrongly.
    if (admitted > SMALL + 2 * CONNECTIONS * (PROMPT_TOKENS + ANSWER_TOKENS))
      throw new Error(`${contestant.name}: ${admitted} admitted of ${SMALL}: does it count?`);
    rows.push({
      contestant: contestant.name.replace(SMALL_ONLY, ""),
      budget: SMALL,
      admitted,
      "of the budget": `${((100 * admitted) / SMALL).toFixed(1)} %`,
      overshoot: Math.max(0, admitted - SMALL),
      refused,
    });
  }
  console.log(`\n${CONNECTIONS} connections use up ${SMALL} tokens; answers take ${UPSTREAM_MS} ms\n`);
  printTable(rows);
  return rows;
}

const { rounds, seconds, rate } = optionsOf({ rounds: 7, seconds: 3, rate: 300 });
let delay = 0;
const upstream = await startUpstream(() => delay);
const lab = await openLab(upstream.port);
try {
  const { rows, local, more } = await cost(lab, rounds, rate, seconds);
  delay = UPSTREAM_MS;
  const over = await overshoot(lab);
  const leases = { "asked nobody, %": local.toFixed(2), "Envoy CPU over local limits µs": more };
  record("budget", [...rows, leases, ...over]);
} finally {
  await lab.close();
  upstream.close();
}
