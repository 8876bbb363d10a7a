// Fuzzes the whole filter in the Node host, under both profiles and with several workers that share data: random requests in
// random pieces, upstreams that answer anything or break off, clients that leave, a sidecar behind a bad network, and
// time that passes meanwhile. Nothing may trap or break a rule of a host, and when the storm is over nothing may be left:
// every pool is whole again, no lease is held, and the ledger has nothing outstanding and nothing overspent.
import assert from "node:assert/strict";
import { setImmediate as pause } from "node:timers/promises";
import { FakeClock } from "../../host/clock.ts";
import { exchange } from "../../host/exchange.ts";
import { PROFILES, type ProfileName } from "../../host/profiles.ts";
import { SharedData } from "../../host/shared-data.ts";
import { advance, createVm, type Vm } from "../../host/vm.ts";
import { controlCallouts } from "../../sidecar/control/callouts.ts";
import { ledgerCallouts } from "../../sidecar/ledger/in-process.ts";
import { LocalLedger } from "../../sidecar/ledger/local.ts";
import { keyEntry, policyFor, requestOf } from "../support/filter.ts";
import { filterModule } from "../support/filter-build.ts";
import { random } from "../support/random.ts";
import { KEYS, type Pick, someCall, someNetwork, someUpstream } from "./filter-traffic.ts";

const WORKERS = 3;
const REQUESTS_PER_STORM = 120;
const AT_ONCE_MAX = 24;
/** Leases that nobody uses are returned, also those that the ledger granted and nobody heard of. */
const CALM_MS = 90_000;
const BODY_BUFFER_BYTES = 1 << 20;
const TIERS = ["pro", "paid", "exact", "open", "model"];

const policy = {
  tiers: {
    pro: { requests: "100/s", tokens: "1M/day", prompt: { max_tokens: 600 }, output: { max_tokens: 200 } },
    paid: {
      budgets: [
        { meter: "cost", limit: "$0.05", window: "day", per: "organisation" },
        { meter: "tokens", limit: "20k", window: "hour" },
      ],
      response: {
        redact: { email: "redact", phone: "mask", credit_card: "block" },
        canaries: ["Titan canary text"],
      },
      prompt: { max_bytes: "4k" },
    },
    exact: { budgets: [{ meter: "requests", limit: 40, window: "day" }], response: { redact: ["email"] } },
    open: { prompt: { unknown_shape: "allow", injection: "shadow" }, requests: "20/s" },
    model: { budgets: [{ meter: "tokens", limit: "3k", window: "day", models: ["gpt-4o*"] }] },
    anonymous: { requests: "5/s" },
  },
  keys: KEYS.map((key, i) => keyEntry(key, TIERS[i] as string)),
  identity: { claims: { metadata: "jwt", subject: "acme/{team}/{sub}", tier: "{tier}" } },
  prices: { "gpt-4o": { prompt: "$2.50", completion: "$10" }, "*": { prompt: "$1", completion: "$1" } },
  routes: [
    { path: "/v1/chat/completions", tiers: ["pro"], schema: { properties: { temperature: { maximum: 2 } } } },
    { path: "/v1/audio/*", tiers: ["open", "exact"], other_media: "allow" },
    { path: "/v1/realtime", tiers: ["open"], upgrades: "allow" },
  ],
  rules: [
    { id: "titan", phrase: "Project Titan" },
    { id: "salary", pattern: "salary ~{0,2} table", action: "shadow" },
  ],
  shield: { requests: "500/s" },
  ledger: { timeout: "500ms", sync: "200ms" },
};

const EMPTY = {
  streamsOpen: 0,
  calloutsInFlight: 0,
  acquiresInFlight: 0,
  heldCount: 0,
  // STREAMS_MAX and CAPTURES_MAX: a captured answer is read beside those of the streams.
  statesFree: 2304,
  recordsFree: 1024,
  redactionsFree: 512,
};

class World {
  readonly clock = new FakeClock();
  readonly ledger = new LocalLedger({ clock: () => this.clock.unsetMs });
  readonly vms: Vm[] = [];
  readonly log: string[] = [];
  pick: Pick = random(0);
  fair = true;

  static async open(profile: ProfileName): Promise<World> {
    const world = new World();
    const wasm = await filterModule("pools");
    const shared = new SharedData();
    const callouts = someNetwork(
      (below) => world.pick(below),
      controlCallouts(ledgerCallouts(world.ledger)),
      () => world.fair,
    );
    for (let i = 0; i < WORKERS; i++) {
      const vm = createVm({
        wasm,
        profile,
        clock: world.clock,
        shared,
        bodyBufferBytes: BODY_BUFFER_BYTES,
        callouts,
        log: (level, message) => world.log.push(`${level}: ${message}`),
        plugins: [{ configuration: JSON.stringify(policyFor(profile, policy)) }],
      });
      assert.ok(vm.roots[0]?.ok, world.log.join("\n"));
      world.vms.push(vm);
    }
    return world;
  }

  /** Random requests, some at once, while time passes. */
  async storm(seed: number): Promise<number> {
    this.pick = random(seed);
    const { pick } = this;
    this.fair = false;
    // Now and then a new day, so that budgets are fresh again.
    if (pick(3) === 0) this.clock.move(24 * 3_600_000);
    if (pick(3) === 0) this.clock.set((pick(2) ? 1 : -1) * 3_600_000);
    let sent = 0;
    const open = new Set<Promise<void>>();
    while (sent < REQUESTS_PER_STORM) {
      for (let n = 1 + pick(AT_ONCE_MAX); n > 0 && open.size < AT_ONCE_MAX; n--, sent++) {
        const one: Promise<void> = this.request(pick).finally(() => open.delete(one));
        open.add(one);
      }
      for (let n = pick(8); n > 0; n--) await pause();
      if (pick(3) === 0) await advance(this.clock, this.vms, pick(1500));
      if (pick(2) && open.size > 0) await Promise.race(open);
    }
    // Streams that hang end when their clients leave, after some turns.
    while (open.size > 0) await Promise.race(open);
    this.fair = true;
    return sent;
  }

  private async request(pick: Pick): Promise<void> {
    const call = someCall(pick);
    const gone = new AbortController();
    const leaves = pick(8) === 0 ? pick(12) : 200;
    let over = false;
    const leaving = (async () => {
      for (let n = 0; n < leaves && !over; n++) await pause();
      gone.abort();
    })();
    const vm = this.vms[pick(WORKERS)] as Vm;
    try {
      await exchange(
        vm,
        { ...requestOf(call), emptyEnd: call.body !== undefined && pick(3) === 0 },
        someUpstream(pick),
        {
          signal: gone.signal,
        },
      );
    } finally {
      over = true;
      await leaving;
    }
  }

  /** What must hold when all is quiet. */
  async calm(): Promise<void> {
    await advance(this.clock, this.vms, CALM_MS);
    for (const [i, vm] of this.vms.entries()) {
      assert.equal(vm.generation, 1, `worker ${i} trapped`);
      assert.equal(vm.dead, false, `worker ${i} trapped`);
      const exports = vm.exports as unknown as Record<string, () => number>;
      const pools = Object.fromEntries(Object.keys(EMPTY).map((name) => [name, exports[name]?.()]));
      assert.deepEqual(pools, EMPTY, `worker ${i}`);
    }
    for (const organisation of await this.ledger.organisations()) {
      for (const budget of await this.ledger.budgets(organisation)) {
        const { outstanding, spent, limit, debt } = budget as typeof budget & { debt: number };
        assert.equal(outstanding, 0, JSON.stringify(budget));
        assert.ok(spent <= limit + (debt ?? 0), JSON.stringify(budget));
      }
    }
  }
}

/** Runs for `seconds` from `seed`; returns the number of requests. Throws on a find. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const worlds = await Promise.all(
    (Object.keys(PROFILES) as ProfileName[]).map((profile) => World.open(profile)),
  );
  const until = performance.now() + seconds * 1000;
  let requests = 0;
  for (let run = 0; run === 0 || performance.now() < until; run++) {
    for (const world of worlds) {
      const { name } = (world.vms[0] as Vm).profile;
      try {
        requests += await world.storm(seed + run);
        await world.calm();
      } catch (cause) {
        throw new Error(
          `filter: ${name}, storm of seed ${seed + run}, the ${run}th: ${world.log.slice(-5).join("; ")}`,
          {
            cause,
          },
        );
      }
    }
  }
  return requests;
}
