/**
 * What is between an event and a place that may be slow: a bounded queue that never makes its caller wait. One delivery
 * is under way at a time; a failed one is tried again with a growing, jittered wait; what finds the queue full, or is not
 * delivered after all attempts, is dropped and counted.
 *
 * Bounds: `max` items, CHARS_MAX characters of them, `batch` of them in a delivery, `attempts` of each; `close` gives what is left a last chance for
 * `graceMs`.
 */

export type Outcome = "delivered" | "dropped" | "failed";

export interface QueueOptions<T> {
  readonly max: number;
  /** How many characters an item keeps; 0 by default: as it can keep but few. */
  readonly chars?: (item: T) => number;
  /** At most so many in one delivery; 1 by default. */
  readonly batch?: number;
  /** A delivery waits so long for more of its batch. */
  readonly lingerMs?: number;
  /** Of one delivery; 1 by default. */
  readonly attempts?: number;
  /** The wait after the first failure; it doubles, up to a minute. */
  readonly backoffMs?: number;
  /** Rejects when it must be tried again; with Refused, when that would not help. */
  readonly deliver: (items: readonly T[]) => Promise<void>;
  /** What became of `count` items. */
  readonly onOutcome?: (outcome: Outcome, count: number) => void;
  /** An attempt failed. */
  readonly onFailure?: (error: unknown) => void;
}

/** A place has what was to be delivered, and does not want it. */
export class Refused extends Error {}

const BACKOFF_MS_MAX = 60_000;
/** Events with texts are ten times as large as others, and a sidecar that has no memory left takes the ledger with it. */
const CHARS_MAX = 1 << 24;

interface Item<T> {
  readonly item: T;
  readonly chars: number;
  readonly settled: ((outcome: Outcome) => void) | undefined;
}

export class Queue<T> {
  readonly #options: QueueOptions<T>;
  readonly #items: Item<T>[] = [];
  /** Of those that wait. */
  #chars = 0;
  #running: Promise<void> | undefined;
  #closed = false;
  /** Ends the wait that is under way. */
  #wake: (() => void) | undefined;

  constructor(options: QueueOptions<T>) {
    this.#options = options;
  }

  /** The share of its room that is taken: 1 is full. */
  get used(): number {
    return Math.max(this.#items.length / this.#options.max, this.#chars / CHARS_MAX);
  }

  /** Takes the item, or drops it when there is no room. Never throws. `settled` hears what became of it. */
  push(item: T, settled?: (outcome: Outcome) => void): void {
    const chars = this.#options.chars?.(item) ?? 0;
    const isFull = this.#items.length >= this.#options.max || this.#chars + chars > CHARS_MAX;
    if (this.#closed || isFull) {
      this.#options.onOutcome?.("dropped", 1);
      settled?.("dropped");
      return;
    }
    this.#items.push({ item, chars, settled });
    this.#chars += chars;
    this.#start();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // One that came between the last look and here.
      if (this.#items.length > 0) this.#start();
    });
  }

  /** Takes no more; resolves when all is delivered or the grace is over. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([this.#running, over]);
    clearTimeout(timer);
    this.#settle(this.#take(this.#items.length), "dropped");
  }

  #take(most: number): Item<T>[] {
    const items = this.#items.splice(0, most);
    for (const { chars } of items) this.#chars -= chars;
    return items;
  }

  async #run(): Promise<void> {
    const { batch = 1, lingerMs = 0 } = this.#options;
    while (this.#items.length > 0) {
      if (lingerMs > 0 && this.#items.length < batch && !this.#closed) await this.#wait(lingerMs);
      const items = this.#take(batch);
      if (items.length > 0) await this.#deliver(items);
    }
  }

  #settle(items: readonly Item<T>[], outcome: Outcome): void {
    if (items.length > 0) this.#options.onOutcome?.(outcome, items.length);
    for (const { settled } of items) settled?.(outcome);
  }

  async #deliver(items: readonly Item<T>[]): Promise<void> {
    const { attempts = 1, backoffMs = 1_000, deliver, onFailure } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        await deliver(items.map(({ item }) => item));
        this.#settle(items, "delivered");
        return;
      } catch (error) {
        onFailure?.(error);
        if (attempt >= attempts || this.#closed || error instanceof Refused) break;
        const wait = Math.min(backoffMs * 2 ** (attempt - 1), BACKOFF_MS_MAX);
        await this.#wait(wait * (0.5 + Math.random() / 2));
      }
    }
    this.#settle(items, "failed");
  }

  /** Ends early when the queue closes. */
  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
    });
  }
}
