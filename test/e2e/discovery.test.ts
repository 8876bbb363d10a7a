/** Policies that follow one another by ECDS in a running Envoy, under traffic: nobody passes unseen, and every token is charged once. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, keyEntry, until, type World, world } from "../support/e2e.ts";
import { discovered, putWatched, withPolicy } from "../support/e2e-policy.ts";

const UPDATES = 12;
/** One update in so many is no policy. */
const WRONG_EVERY = 4;
const NAMES = ["one", "two"];
/** Of each answer, as the mock tells it. */
const USED = { "x-mock-prompt-tokens": "40", "x-mock-completion-tokens": "23" };

const policyOf = (update: number) => ({
  ledger: { sync: "300ms" },
  tiers: {
    pro: {
      requests: `${100_000 + update}/min`,
      budgets: [
        { name: "all", meter: "tokens", limit: 50_000_000 + update, window: "month", per: "organisation" },
      ],
      output: { max_tokens: 100 + update },
    },
  },
  keys: NAMES.map((name) => keyEntry(name, `acme/team/${name}`, "pro")),
});

describe("policies by ECDS, under traffic", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-e2e-discovery-"));
  const file = join(directory, "filter.yaml");
  let filter = "";
  let w: World;

  const put = (policy: object) => putWatched(file, withPolicy(filter, policyOf(0), policy));
  const edit = (text: string) => {
    const apart = discovered(text, file);
    filter = apart.filter;
    put(policyOf(0));
    return apart.config;
  };

  before(async () => {
    w = await world({ policy: policyOf(0), workers: 2, edit });
  });
  after(async () => {
    await w?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it("leave no request unseen, none hanging, and every token charged once", { timeout: 60_000 }, async () => {
    await until("the first policy", async () => (await w.chat("stranger", "Hello")).status === 401);
    const answers: Promise<Answer>[] = [];
    const strangers: Promise<Answer>[] = [];
    const traffic = new AbortController();
    const sending = (async () => {
      for (let n = 0; !traffic.signal.aborted; n++) {
        const name = NAMES[n % NAMES.length] as string;
        if (n % 4 === 0) strangers.push(w.chat("stranger", "Hello"));
        else if (n % 4 === 1) answers.push(w.chat(name, "Hello", { headers: USED }));
        // A stream that goes on while policies come and go.
        else if (n % 4 === 2)
          answers.push(
            w.chat(name, "Hello", {
              headers: { ...USED, "x-mock-event-delay-ms": "300" },
              body: { stream: true },
            }),
          );
        await sleep(40);
      }
    })();
    for (let update = 1; update <= UPDATES; update++) {
      put(update % WRONG_EVERY === 0 ? { ...policyOf(update), tierz: {} } : policyOf(update));
      await sleep(300);
    }
    await sleep(500);
    traffic.abort();
    await sending;
    const seen = await Promise.all(answers);
    assert.deepEqual(new Set(seen.map(({ status }) => status)), new Set([200]));
    assert.deepEqual(new Set((await Promise.all(strangers)).map(({ status }) => status)), new Set([401]));
    assert.equal(w.llm.seen.length, seen.length, "nobody unknown reached the upstream");
    assert.ok(w.llm.seen.every(({ headers }) => headers["x-weir-subject"] !== undefined));
    const limits = new Set(w.llm.seen.map(({ body }) => JSON.parse(body).max_completion_tokens as number));
    assert.ok(limits.size > UPDATES / 2, `the policies that served: ${[...limits]}`);
    assert.ok(
      ![...limits].some((limit) => limit > 100 && (limit - 100) % WRONG_EVERY === 0),
      "a wrong policy served",
    );
    await w.settled("acme", "all", 63 * seen.length, 0);
    assert.equal(await w.stat("weir_lost_reports_total"), 0);
  });
});
