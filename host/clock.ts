// Time for the guest: one number, nanoseconds since the epoch. Tests hold a clock that moves only when told.

export interface Clock {
  /** Nanoseconds since the Unix epoch. */
  now(): bigint;
}

export class FakeClock implements Clock {
  #now: bigint;
  /** @param epochMs where it starts, in milliseconds since the epoch; default 2026-01-01T00:00:00Z. */
  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#now = BigInt(epochMs) * 1_000_000n;
  }

  now(): bigint {
    return this.#now;
  }

  /** Moves on by `ms` milliseconds (fractions are kept to the nanosecond). Ticks do not run by this: see `advance`. */
  move(ms: number): void {
    this.#now += BigInt(Math.round(ms * 1e6));
  }
}

export const systemClock: Clock = {
  now: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1000n,
};
