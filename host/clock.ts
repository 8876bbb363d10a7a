// Time for the guest, in nanoseconds. Tests hold a clock that moves only when told.

export interface Clock {
  /** Since the Unix epoch: what somebody may set. */
  now(): bigint;
  /** Since some moment, and never set: what waits and ticks go by. */
  monotonic(): bigint;
}

/** A fake clock's machine has been up for so long. */
const UP_NS = 60_000_000_000n;

export class FakeClock implements Clock {
  #now: bigint;
  #monotonic = UP_NS;
  /** How far it was set ahead, in all. */
  #setNs = 0n;
  /** @param epochMs where it starts, in milliseconds since the epoch; default 2026-01-01T00:00:00Z. */
  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#now = BigInt(epochMs) * 1_000_000n;
  }

  now(): bigint {
    return this.#now;
  }

  /** Moves on by `ms` milliseconds (fractions are kept to the nanosecond). Ticks do not run by this: see `advance`. */
  move(ms: number): void {
    const ns = BigInt(Math.round(ms * 1e6));
    this.#now += ns;
    this.#monotonic += ns;
  }

  monotonic(): bigint {
    return this.#monotonic;
  }

  /** Somebody sets it `ms` milliseconds ahead, or back. */
  set(ms: number): void {
    const ns = BigInt(ms) * 1_000_000n;
    this.#now += ns;
    this.#setNs += ns;
  }

  /** Milliseconds since the epoch by a machine whose clock nobody sets. */
  get unsetMs(): number {
    return Number((this.#now - this.#setNs) / 1_000_000n);
  }
}

export const systemClock: Clock = {
  now: () => BigInt(Date.now()) * 1_000_000n,
  monotonic: () => process.hrtime.bigint(),
};
