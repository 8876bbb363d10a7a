/**
 * What an anomalous window is, by what stands out in it. Pure.
 *
 *   key_walking   one address with many keys, or one key from many addresses
 *   cost_spike    tokens or dollars stand out, and requests do not, or each takes much more than this subject's usually do
 *   flood         more requests: FLOOD_RATIO times the usual and at least one a second, or as uneven as people are, or more
 *   scraping      more requests, below that, and more even than chance is: a program that takes one after the other
 */

import { WARNING } from "./series.ts";

export type AnomalyClass = "key_walking" | "cost_spike" | "flood" | "scraping";

export type Measure = "requests" | "tokens" | "cost" | "others";

/** A measure that stands out. */
export interface Signal {
  readonly measure: Measure;
  readonly value: number;
  readonly usual: number;
  readonly z: number;
}

const FLOOD_RATIO = 10;
const FLOOD_PER_MINUTE_MIN = 60;
const HEAVY_RATIO = 3;
/** Variance against mean of the parts of a window. Requests that come by chance have 1. */
const EVEN_MAX = 0.25;

/** Whether requests came more evenly over the parts of a window than chance would have them. */
export function isEven(parts: ArrayLike<number>): boolean {
  const values = Array.from(parts);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return mean > 0 && variance <= EVEN_MAX * mean;
}

export interface Seen {
  /** What stands out; not empty. */
  readonly signals: readonly Signal[];
  /** The window's requests, whether they stand out or not. */
  readonly requests: Signal;
  readonly minutes: number;
  /** What a request took, in times of what this subject's requests take. */
  readonly weight: number;
  readonly even: boolean;
}

/** The class of a window, and the signal that shows it. */
export function classify(seen: Seen): { class: AnomalyClass; signal: Signal } {
  const strongest = (...measures: Measure[]) =>
    seen.signals
      .filter(({ measure }) => measures.includes(measure))
      .reduce<Signal | undefined>((best, one) => (best && best.z >= one.z ? best : one), undefined);
  const others = strongest("others");
  if (others) return { class: "key_walking", signal: others };
  const amounts = strongest("cost", "tokens");
  if (amounts && (seen.weight >= HEAVY_RATIO || seen.requests.z < WARNING))
    return { class: "cost_spike", signal: amounts };
  const { value, usual } = seen.requests;
  const many = value >= FLOOD_RATIO * Math.max(usual, 1) && value >= FLOOD_PER_MINUTE_MIN * seen.minutes;
  // A few requests more may stand out by what they take alone.
  const signal = strongest("requests") ?? amounts ?? seen.requests;
  return { class: seen.even && !many ? "scraping" : "flood", signal };
}
