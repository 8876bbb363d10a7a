/**
 * What is usual for one measure of one subject at one time, from up to seven days of its own history.
 *
 *   hour of week   what this hour was like a week ago, once it is known
 *   hour of day    else what this hour was like on the days that are known
 *   recent         else the median of the last windows
 *   others         else what subjects of this kind do, for one that has hardly been seen
 *
 * Hours are UTC. Windows without traffic count as zeros. What stands out goes into the history no further than WARNING
 * deviations above the usual, so that an anomaly does not become usual at once, and a new habit does in the end. Only an
 * hour of which more than half stands out is kept as it was: that is how a nightly job becomes usual on the second night.
 * Memory: RECENT_MAX numbers and, once an hour is over, 2.7 KB for the hours of a week.
 */
import {
  addTo,
  DEVIATION_MIN,
  deviationOf,
  type Moments,
  mergeInto,
  noMoments,
  Ring,
  robust,
  stabilised,
} from "./statistics.ts";

const HOUR_MS = 3_600_000;
const HOURS_OF_DAY = 24;
const HOURS_OF_WEEK = 168;
const RECENT_MAX = 60;
const RECENT_MIN = 12;
const OTHERS_MAX = 512;
const OTHERS_MIN = 50;
/** The part of an hour's windows that must be known before the hour counts. */
const HOUR_PART_MIN = 0.5;
export const WARNING = 3;
export const PAGE = 5;

const ZERO = stabilised(0);

export type Basis = "hour of week" | "hour of day" | "recent" | "others";

/** On the scale of constant noise. */
export interface Usual {
  readonly mean: number;
  readonly deviation: number;
  readonly basis: Basis;
}

export interface Judged {
  /** In units of one request, or a count. */
  readonly usual: Usual;
  /** Deviations above the usual; negative below. */
  readonly z: number;
}

/** The last values of all subjects of a kind. */
export class Others {
  readonly #ring = new Ring(OTHERS_MAX);

  learn(y: number): void {
    this.#ring.push(y);
  }

  usual(): Usual | undefined {
    if (this.#ring.count < OTHERS_MIN) return undefined;
    return bounded(robust(this.#ring.values()), "others");
  }
}

const bounded = ({ mean, deviation }: { mean: number; deviation: number }, basis: Basis): Usual => ({
  mean,
  deviation: Math.max(deviation, DEVIATION_MIN),
  basis,
});

/**
 * The hours of a week, the last of each that is over:
 *
 *   hour of week × 4   │ hour since the epoch │ n │ mean │ squares │
 */
class Hours {
  #cells: Float32Array | undefined;

  put(hour: number, { n, mean, squares }: Moments): void {
    // Most subjects are gone before their first hour is over.
    this.#cells ??= new Float32Array(HOURS_OF_WEEK * 4);
    this.#cells.set([hour, n, mean, squares], (hour % HOURS_OF_WEEK) * 4);
  }

  /** That very hour; undefined when it is not known. */
  get(hour: number): Moments | undefined {
    const at = (hour % HOURS_OF_WEEK) * 4;
    if (this.#cells?.[at] !== hour) return undefined;
    const [, n = 0, mean = 0, squares = 0] = this.#cells.subarray(at, at + 4);
    return { n, mean, squares };
  }
}

export class Series {
  readonly #lengthMs: number;
  readonly #others: Others;
  readonly #recent = new Ring(RECENT_MAX);
  readonly #hours = new Hours();
  #hour = 0;
  /** Of the hour that is not over: as learned, as it was, and how many of its windows stood out. */
  #learned = noMoments();
  #asItWas = noMoments();
  #stoodOut = 0;
  #nextMs = 0;

  constructor(lengthMs: number, others: Others) {
    this.#lengthMs = lengthMs;
    this.#others = others;
  }

  /**
   * Judges the value of the window that begins at `startMs`, and learns it. Windows come in order; those left out were
   * empty. Undefined: nothing is known to judge by.
   */
  observe(startMs: number, x: number): Judged | undefined {
    this.#catchUp(startMs);
    const y = stabilised(x);
    const usual = this.#usual(startMs);
    const learned = usual ? Math.min(y, usual.mean + WARNING * usual.deviation) : y;
    this.#learn(startMs, y, learned, 1);
    this.#others.learn(learned);
    this.#nextMs = startMs + this.#lengthMs;
    return usual && { usual, z: (y - usual.mean) / usual.deviation };
  }

  /** Learns the zeros of the windows since the last one. Of a long absence only the last week matters. */
  #catchUp(startMs: number): void {
    if (this.#nextMs === 0) return;
    let fromMs = Math.max(this.#nextMs, startMs - HOURS_OF_WEEK * HOUR_MS);
    while (fromMs < startMs) {
      const hourEnds = (Math.floor(fromMs / HOUR_MS) + 1) * HOUR_MS;
      const untilMs = Math.min(hourEnds, startMs);
      const windows = Math.max(1, Math.round((untilMs - fromMs) / this.#lengthMs));
      this.#learn(fromMs, ZERO, ZERO, windows);
      fromMs = untilMs;
    }
  }

  #learn(startMs: number, y: number, learned: number, times: number): void {
    const hour = Math.floor(startMs / HOUR_MS);
    if (this.#hour !== hour) {
      if (this.#hour > 0) this.#keepHour();
      this.#hour = hour;
    }
    addTo(this.#learned, learned, times);
    addTo(this.#asItWas, y, times);
    if (learned < y) this.#stoodOut++;
    this.#recent.push(learned, times);
  }

  #keepHour(): void {
    const mostly = this.#stoodOut > this.#asItWas.n / 2;
    this.#hours.put(this.#hour, mostly ? this.#asItWas : this.#learned);
    this.#learned = noMoments();
    this.#asItWas = noMoments();
    this.#stoodOut = 0;
  }

  #usual(startMs: number): Usual | undefined {
    const hour = Math.floor(startMs / HOUR_MS);
    const enough = (HOUR_PART_MIN * HOUR_MS) / this.#lengthMs;
    // In the hour itself the cell still holds the one of a week ago.
    const weekAgo = this.#hours.get(hour - HOURS_OF_WEEK);
    if (weekAgo && weekAgo.n >= enough)
      return bounded({ mean: weekAgo.mean, deviation: deviationOf(weekAgo) }, "hour of week");
    const days = noMoments();
    for (let back = HOURS_OF_DAY; back < HOURS_OF_WEEK; back += HOURS_OF_DAY) {
      const known = this.#hours.get(hour - back);
      if (known) mergeInto(days, known);
    }
    if (days.n >= enough) return bounded({ mean: days.mean, deviation: deviationOf(days) }, "hour of day");
    if (this.#recent.count >= RECENT_MIN) return bounded(robust(this.#recent.values()), "recent");
    return this.#others.usual();
  }
}
