// Traffic for the tests of detection: organisations with keys and addresses, a day's rhythm, bursts and sizes as they are
// (both vary more than chance alone would have it), and anomalies put into it. One seed gives one traffic.
import type { AnomalyClass } from "./classify.ts";
import type { Kind, UsageRow } from "./detector.ts";
import { MINUTE_MS } from "./detector.ts";

/** A Monday, 00:00 UTC. */
export const START_MS = Date.UTC(2026, 0, 5);
const DAY_MINUTES = 1_440;
const COST_OF_TOKEN = 5e-6;

export interface Injected {
  readonly class: AnomalyClass;
  /** What it must be found at. */
  readonly kind: Kind;
  readonly name: string;
  /** Whatever else it shows at: its address, key and organisation. */
  readonly touched: ReadonlySet<string>;
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface Traffic {
  readonly rows: UsageRow[];
  readonly injected: Injected[];
}

/** Uniform in [0, 1): mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Caller {
  readonly address: string;
  readonly key: string;
  readonly organisation: string;
  /** Requests a minute at its busiest. */
  readonly rate: number;
  readonly tokens: number;
}

class Generator {
  readonly rows: UsageRow[] = [];
  readonly injected: Injected[] = [];
  readonly #random: () => number;
  readonly callers: Caller[];

  constructor(seed: number, callers: number) {
    this.#random = randomOf(seed);
    this.callers = Array.from({ length: callers }, (_, i) => ({
      address: `198.51.100.${i}`,
      key: `org-${i % 5}/team/key-${i}`,
      organisation: `org-${i % 5}`,
      rate: 2 + 18 * this.#random() ** 2,
      tokens: 400 + 1600 * this.#random(),
    }));
  }

  #normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
  }

  #poisson(mean: number): number {
    if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.#normal()));
    let product = this.#random();
    let count = 0;
    for (const least = Math.exp(-mean); product > least; count++) product *= this.#random();
    return count;
  }

  #push(caller: Caller, timeMs: number, factor = 1, key = caller.key): void {
    const tokens = Math.round(caller.tokens * factor * Math.exp(0.5 * this.#normal()));
    const { address, organisation } = caller;
    this.rows.push({ timeMs, address, key, organisation, requests: 1, tokens, cost: tokens * COST_OF_TOKEN });
  }

  /** `count` requests in a minute, at random or evenly. */
  minute(
    caller: Caller,
    startMs: number,
    count: number,
    how: { factor?: number; even?: boolean } = {},
  ): void {
    for (let i = 0; i < count; i++) {
      const part = how.even ? (i + 0.3 + 0.4 * this.#random()) / count : this.#random();
      this.#push(caller, startMs + Math.floor(part * MINUTE_MS), how.factor);
    }
  }

  usual(caller: Caller, startMs: number): number {
    const hour = ((startMs - START_MS) / 3_600_000) % 24;
    const rhythm = 0.55 - 0.45 * Math.cos(((hour - 3) / 24) * 2 * Math.PI);
    return caller.rate * rhythm;
  }

  everyday(fromMinute: number, untilMinute: number): void {
    for (let minute = fromMinute; minute < untilMinute; minute++) {
      const startMs = START_MS + minute * MINUTE_MS;
      for (const caller of this.callers) {
        // Bursts: the mean itself varies by about a third.
        const mean = this.usual(caller, startMs) * Math.exp(0.3 * this.#normal() - 0.045);
        this.minute(caller, startMs, this.#poisson(mean));
      }
    }
  }

  inject(what: AnomalyClass, caller: Caller, atMinute: number, minutes: number): void {
    const fromMs = START_MS + atMinute * MINUTE_MS;
    const walker = { ...caller, address: `203.0.113.${this.injected.length}`, organisation: "" };
    for (let i = 0; i < minutes; i++) {
      const startMs = fromMs + i * MINUTE_MS;
      const usual = Math.max(2, this.usual(caller, startMs));
      if (what === "flood") this.minute(caller, startMs, Math.max(90, Math.round(usual * 25)));
      if (what === "scraping") this.minute(caller, startMs, Math.round(usual * 6), { even: true });
      if (what === "cost_spike") this.minute(caller, startMs, Math.round(usual), { factor: 20 });
      if (what === "key_walking")
        for (let k = 0; k < 15; k++)
          this.#push(walker, startMs + k * 3_000, 0, `guess-${this.injected.length}-${i * 15 + k}`);
    }
    const walks = what === "key_walking";
    const place: [Kind, string] = walks ? ["address", walker.address] : ["key", caller.key];
    const touched = walks ? [walker.address] : [caller.address, caller.key, caller.organisation];
    this.injected.push({
      class: what,
      kind: place[0],
      name: place[1],
      touched: new Set(touched),
      fromMs,
      untilMs: fromMs + minutes * MINUTE_MS,
    });
  }
}

/** Days of everyday traffic; on the last one `each` anomalies of every class, some minutes apart. */
export function traffic(seed: number, days: number, callers: number, each: number): Traffic {
  const generator = new Generator(seed, callers);
  generator.everyday(0, days * DAY_MINUTES);
  const classes: [AnomalyClass, number][] = [
    ["flood", 3],
    ["scraping", 30],
    ["cost_spike", 10],
    ["key_walking", 4],
  ];
  let minute = (days - 1) * DAY_MINUTES + 60;
  for (let i = 0; i < each; i++) {
    for (const [at, [what, minutes]] of classes.entries()) {
      const caller = generator.callers[(i * classes.length + at) % callers]!;
      generator.inject(what, caller, minute, minutes);
      minute += minutes + 25;
    }
  }
  const rows = generator.rows.sort((a, b) => a.timeMs - b.timeMs);
  return { rows, injected: generator.injected };
}
