/**
 * One simulated history of the filter itself: workers that share data, the real ledger on its pure machine, an upstream
 * that uses what the seed says, and no real time.
 *
 *   requests ──▶ workers (Wasm: purses, leases, debts) ── calls: refused, or their answers lost ──▶ ledger
 *                   └── restarts: what was only in a worker's memory is gone; policies that replace each other
 *
 * Where `world.ts` has a model of an edge, here is the edge. After the history the world heals and waits; then no lease is open,
 * and every budget holds what the upstream says was used: exactly, or, where workers died, never less (`charge_all`) or
 * never more (`charge_reported`) than that.
 * Bounds: 25 steps of at most 20 requests; 1 to 3 workers, keys and budgets.
 */
import assert from "node:assert/strict";
import { GuestTrap } from "../../host/errors.ts";
import type { UpstreamRequest, UpstreamResponse } from "../../host/exchange.ts";
import type { ProfileName } from "../../host/profiles.ts";
import { type Call, chat, keyEntry, LocalEdge, llm, replacePolicy } from "../support/filter.ts";
import { Random } from "./random.ts";

const STEPS = 25;
const BURST_MAX = 20;
const OUTPUT_MAX = 64;
const TEXT = "The tide comes in over the flats and turns before noon. ";
/** More than a lease's life at the ledger; and until one is given up of which a dead worker had a part. */
const HEAL_MS = 150_000;
const HEALS_MAX = 28;
const KEYS = ["k1", "k2", "k3"];
const METERS = ["tokens", "prompt_tokens", "completion_tokens", "requests"] as const;

interface Used {
  key: string;
  prompt: number;
  completion: number;
}

export interface FleetOptions {
  readonly seed: number;
  readonly profile: ProfileName;
  /** Breaks the fleet on purpose. */
  readonly sabotage?: (edge: LocalEdge) => void;
}

export class Fleet {
  readonly #random: Random;
  readonly #options: FleetOptions;
  readonly #used: Used[] = [];
  readonly #faults;
  readonly #budgets;
  readonly #workers: number;
  /** What is charged, by budget and window; a window that is over is forgotten by the ledger in time. */
  readonly #charged = new Map<string, number>();
  #deaths = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    const random = new Random(options.seed);
    this.#random = random;
    const some = (most: number) => (random.chance(0.5) ? random.next() * most : 0);
    this.#faults = {
      down: some(0.3),
      silent: some(0.2),
      death: some(0.15),
      replacement: some(0.15),
      abort: some(0.2),
      failure: some(0.2),
      overspend: some(0.3),
      chargeAll: random.chance(0.5),
      allowance: random.chance(0.3),
      leases: random.chance(0.85),
    };
    this.#workers = random.between(1, 3);
    this.#budgets = Array.from({ length: random.between(1, 3) }, (_, i) => ({
      name: `b${i}`,
      meter: random.pick(METERS),
      limit: random.pick([OUTPUT_MAX, 4_000, 40_000, 50_000_000]),
      window: random.pick(["hour", "month"]),
      per: random.pick(["key", "team", "organisation"]),
    }));
  }

  /** Throws where a rule is broken. */
  async run(): Promise<void> {
    const { profile, sabotage } = this.#options;
    const { chargeAll, leases, allowance } = this.#faults;
    const edge = await LocalEdge.open({
      profile,
      workers: this.#workers,
      policy: {
        ledger: { leases, on_expiry: chargeAll ? "charge_all" : "charge_reported" },
        tiers: {
          pro: {
            budgets: this.#budgets,
            output: { max_tokens: OUTPUT_MAX },
            response: { on_abort: "zero" },
            ...(allowance && { outage: { allowance: "20%" } }),
          },
        },
        keys: KEYS.map((key) => keyEntry(key, "pro")),
      },
    });
    sabotage?.(edge);
    for (let step = 0; step < STEPS; step++) {
      await this.#step(edge);
      await this.#checkLimits(edge);
    }
    edge.setLedgerUp(true);
    edge.answersLost = false;
    for (let i = 0; i < HEALS_MAX && (i === 0 || (await edge.ledger.leases("acme")).length > 0); i++) {
      await edge.wait(HEAL_MS);
      await edge.ledger.sweep("acme");
      await this.#checkLimits(edge);
    }
    await this.#checkEnd(edge);
  }

  async #step(edge: LocalEdge): Promise<void> {
    const random = this.#random;
    edge.setLedgerUp(!random.chance(this.#faults.down));
    edge.answersLost = random.chance(this.#faults.silent);
    const calls = Array.from({ length: random.between(1, BURST_MAX) }, () => this.#send(edge));
    await Promise.all(calls);
    if (random.chance(this.#faults.death)) {
      this.#deaths++;
      random.pick(edge.vms).reload();
    }
    if (random.chance(this.#faults.replacement)) replacePolicy(random.pick(edge.vms));
    await edge.wait(random.pick([0, 50, 700, 2_500, 15_000, 70_000]));
  }

  async #send(edge: LocalEdge): Promise<void> {
    const random = this.#random;
    const { abort, failure, overspend } = this.#faults;
    const key = random.pick(KEYS);
    const text = TEXT.repeat(random.pick([1, 3, 40]));
    const used = { key, prompt: random.between(1, 12), completion: random.between(0, OUTPUT_MAX) };
    if (random.chance(overspend)) used.completion += random.between(1, 100);
    const stream = random.chance(0.5);
    const leaves = random.chance(abort);
    const early = random.chance(0.5);
    const fails = random.chance(failure);
    const client = new AbortController();
    const upstream = async (request: UpstreamRequest): Promise<UpstreamResponse> => {
      const leave = () => {
        client.abort();
        throw new Error("the client has left");
      };
      if (leaves && early) leave();
      if (leaves) {
        const headers = { "content-type": stream ? "text/event-stream" : "application/json" };
        const body = (async function* () {
          yield Buffer.from(
            stream ? 'data: {"choices":[{"index":0,"delta":{"content":"Wa"}}]}\n\n' : '{"choices":[',
          );
          leave();
        })();
        return { headers, body };
      }
      const answer = await llm(request);
      if (!fails) this.#used.push(used);
      return answer;
    };
    const call: Call = {
      key,
      worker: random.between(0, this.#workers - 1),
      body: chat(text, { ...(random.chance(0.5) && { max_tokens: OUTPUT_MAX }), ...(stream && { stream }) }),
      signal: client.signal,
      upstream,
      headers: [
        ["x-mock-prompt-tokens", String(used.prompt)],
        ["x-mock-completion-tokens", String(used.completion)],
        ...(fails ? ([["x-mock-status", "500"]] as [string, string][]) : []),
      ],
    };
    try {
      const { status } = await edge.send(call);
      assert.ok(leaves || [200, 402, 429, 500, 503].includes(status), `status ${status}`);
    } catch (error) {
      // nginx has no other way to end a stream whose upstream broke.
      if (!(error instanceof GuestTrap) || !leaves) throw error;
    }
  }

  /** No budget is passed, but by answers above their bound and by what an outage allows. */
  async #checkLimits(edge: LocalEdge): Promise<void> {
    const { overspend, allowance } = this.#faults;
    for (const { key, spent, outstanding, limit } of await edge.ledger.budgets("acme")) {
      this.#charged.set(key, spent);
      if (overspend > 0 || allowance) continue;
      assert.ok(spent + outstanding <= limit, `${key}: ${spent} + ${outstanding} of ${limit}`);
    }
  }

  async #checkEnd(edge: LocalEdge): Promise<void> {
    assert.deepEqual(await edge.ledger.leases("acme"), [], "a lease is open");
    for (const { key, outstanding } of await edge.ledger.budgets("acme"))
      assert.equal(outstanding, 0, `${key}: something is held`);
    const sums = new Map<string, number>();
    for (const [key, spent] of this.#charged) {
      const budget = key.slice(0, key.lastIndexOf("|"));
      sums.set(budget, (sums.get(budget) ?? 0) + spent);
    }
    for (const [budget, spent] of sums) {
      const truth = this.#usedOf(budget);
      const told = `${budget}: ${spent} charged, ${truth} used, ${this.#deaths} deaths`;
      if (this.#deaths === 0) assert.equal(spent, truth, told);
      else if (this.#faults.chargeAll) assert.ok(spent >= truth, told);
      else assert.ok(spent <= truth, told);
    }
  }

  /** What was used of the budget that the ledger keeps under `key`: subject|name|meter|… */
  #usedOf(key: string): number {
    const [subject, , meter] = key.split("|") as [string, string, string];
    let sum = 0;
    for (const used of this.#used) {
      if (!`acme/search/${used.key}/`.startsWith(`${subject}/`)) continue;
      if (meter === "requests") sum++;
      if (meter === "tokens" || meter === "prompt_tokens") sum += used.prompt;
      if (meter === "tokens" || meter === "completion_tokens") sum += used.completion;
    }
    return sum;
  }
}
