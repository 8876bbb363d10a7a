/**
 * The third tier with the real edge: Envoy with the filter, killed with SIGKILL under load in turn with the sidecar and
 * Redis. The leases of a dead Envoy die of age, and are resolved as the policy says; what was charged unseen is kept in
 * the journal, so the books can be checked to the token:
 *
 *   charge_all        every request that reached the upstream is charged, and beyond those no more than the journal says
 *   charge_reported   no request is charged that did not reach the upstream, and nothing unseen
 *
 * Bounds: KILLS, or RUN_MS_MAX of them on a slow machine; then the 60 s that a lease lives, and what a sweep takes.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { describe, it } from "node:test";
import { startMockLlm } from "../../demo/mock-llm.ts";
import { type Envoy, envoyBinary, startEnvoy } from "../../demo/processes.ts";
import { WeirError } from "../../sidecar/errors.ts";
import type { Books } from "../../sidecar/ledger/admin-books.ts";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { remoteBooks } from "../../sidecar/ledger/remote-books.ts";
import { Random } from "../sim/random.ts";
import { chatBody, keyEntry, secret } from "../support/e2e.ts";
import { ADMIN_TOKEN, startProcesses } from "./processes.ts";

const CONNECTIONS = 12;
const KEYS = 4;
const LIMIT = 1_000_000;
const KILLS = 6;
const ANSWERS_BETWEEN = 40;
const RUN_MS_MAX = 60_000;
const ANSWER_MS_MAX = 5_000;
const LEASES_DIE_MS_MAX = 120_000;
const PROMPT = 5;
const COMPLETION_MAX = 20;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const policy = (onExpiry: string) => ({
  tiers: {
    pro: {
      budgets: [{ name: "tokens", meter: "tokens", limit: LIMIT, window: "month", per: "organisation" }],
      output: { max_tokens: COMPLETION_MAX },
    },
  },
  ledger: { sync: "200ms", timeout: "500ms", on_expiry: onExpiry },
  keys: Array.from({ length: KEYS }, (_, i) => keyEntry(`kill-${i}`, `org/team/key-${i}`, "pro")),
});

/** Sends one request and reads its answer; the status, or 0 when it broke off. */
async function send(agent: Agent, url: string, key: string, completion: number): Promise<number> {
  const outgoing = request(`${url}/v1/chat/completions`, {
    ...{ agent, method: "POST", timeout: ANSWER_MS_MAX },
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${secret(key)}`,
      "x-mock-prompt-tokens": String(PROMPT),
      "x-mock-completion-tokens": String(completion),
      "x-mock-delay-ms": "20",
    },
  });
  outgoing.on("timeout", () => outgoing.destroy(new Error("no answer")));
  try {
    outgoing.end(JSON.stringify(chatBody("hello")));
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    for await (const _ of response);
    return response.statusCode ?? 0;
  } catch {
    return 0;
  }
}

/** The books when no lease is open any more. A sidecar that is still reconnecting is asked again. */
async function settled(books: Books) {
  for (const end = performance.now() + LEASES_DIE_MS_MAX; performance.now() < end; await pause(500)) {
    try {
      if ((await books.book("org")).leases.length > 0) continue;
      // Anew: within one answer the budgets were read before the leases.
      const { budgets, journal } = await books.book("org");
      return { records: budgets, journal };
    } catch (thrown) {
      if (!["unavailable", "refused"].includes(WeirError.from(thrown).code)) throw thrown;
    }
  }
  throw new Error("leases stay open");
}

const missing = envoyBinary() === undefined ? "no Envoy is installed" : false;

describe("a budget whose Envoy, sidecar and store are killed", { concurrency: 2 }, () => {
  for (const [onExpiry, store] of [
    ["charge_all", "redis"],
    ["charge_reported", "embedded"],
  ] as const)
    it(`is charged what reached the upstream, ${onExpiry}, ${store}`, {
      skip: missing || (store === "redis" && !hasRedis() ? "redis-server is not installed" : false),
    }, async (context) => {
      const seed = Date.now() % 1_000_000;
      const random = new Random(seed);
      const llm = await startMockLlm();
      const processes = await startProcesses(store);
      const settings = {
        policy: policy(onExpiry),
        ...{ upstreamPort: llm.port, sidecarPort: processes.port, concurrency: 2 },
      };
      let envoy: Envoy = await startEnvoy(settings);
      const agent = new Agent({ keepAlive: true });
      const dies = () => envoy.process.kill("SIGKILL");
      process.once("exit", dies);
      try {
        let over = false;
        let answered = 0;
        const connection = async (n: number) => {
          const own = new Random(seed + n + 1);
          while (!over) {
            const completion = own.between(1, COMPLETION_MAX);
            const status = await send(agent, envoy.url, `kill-${n % KEYS}`, completion);
            if (status === 200) answered++;
            else await pause(50);
          }
        };
        const work = Promise.all(Array.from({ length: CONNECTIONS }, (_, n) => connection(n)));
        const killEnvoy = async () => {
          await envoy.kill();
          envoy = await startEnvoy({ ...settings, port: envoy.port });
        };
        const names = ["envoy", ...processes.names];
        let kills = 0;
        for (const end = performance.now() + RUN_MS_MAX; kills < KILLS && performance.now() < end; kills++) {
          const before = answered;
          while (answered < before + ANSWERS_BETWEEN && performance.now() < end) await pause(5);
          await pause(random.between(0, 400));
          const name = names[kills % names.length] ?? "";
          await (name === "envoy" ? killEnvoy() : processes.kill(name));
        }
        // The last kill is one of Envoy: its leases end by age alone.
        await killEnvoy();
        over = true;
        await work;
        const books = remoteBooks(`http://127.0.0.1:${processes.port}`, ADMIN_TOKEN);
        const { records, journal } = await settled(books);
        const reached = llm.seen.reduce(
          (sum, { headers }) => sum + PROMPT + Number(headers["x-mock-completion-tokens"]),
          0,
        );
        const sumOf = (kind: string) =>
          journal.filter((entry) => entry.kind === kind).reduce((sum, { amount }) => sum + amount, 0);
        const unseen = sumOf("charged_unseen");
        const corrected = sumOf("corrected");
        assert.equal(records.length, 1);
        const [{ spent, outstanding, debt } = { spent: 0, outstanding: 0, debt: 0 }] = records;
        context.diagnostic(
          `seed ${seed}: ${kills + 1} kills, ${answered} answered of ${llm.seen.length} that reached the upstream with ` +
            `${reached} tokens; charged ${spent}, of it ${unseen} unseen, ${corrected} corrected`,
        );
        assert.ok(
          kills >= 2 && answered > 100 && llm.seen.length < 10_000,
          "too little, or too much, happened",
        );
        assert.deepEqual([outstanding, debt], [0, 0]);
        assert.ok(spent <= LIMIT);
        assert.ok(spent - unseen - corrected <= reached, "something was charged twice");
        if (onExpiry === "charge_all") assert.ok(spent >= reached, "usage was lost");
        else assert.equal(unseen, 0);
      } finally {
        process.removeListener("exit", dies);
        agent.destroy();
        await envoy.kill();
        await processes.stop();
        await llm.close();
      }
    });
});
