/**
 * Anomalous windows in a stream of usage. Pure: time comes with the rows, and from `advance`.
 *
 * Rows are added up per minute for their address, key and organisation. When a minute is over for GRACE_MS its windows
 * of one and, every fifth time, of five minutes are closed: each measure is judged against what is usual for the subject
 * (series.ts), and what stands out is classified (classify.ts): a warning from WARNING deviations on, a page from PAGE.
 *
 * Memory: minutes not yet closed, and SUBJECTS_MAX subjects of each kind with their history; beyond that the one longest
 * unseen is forgotten and, when it comes again, judged by what others do: about 25 KB for each that was seen for hours,
 * 150 MB in all at most. Late rows are refused and counted.
 */
import { type AnomalyClass, classify, isEven, type Measure, type Signal } from "./classify.ts";
import { type Basis, Others, PAGE, Series, WARNING } from "./series.ts";
import { unstabilised } from "./statistics.ts";

export const MINUTE_MS = 60_000;
const LENGTHS_MS = [MINUTE_MS, 5 * MINUTE_MS] as const;
const GRACE_MS = 60_000;
const SUBJECTS_MAX = 2_048;
/** Keys of an address, or addresses of a key, that are told apart in one window. */
const OTHERS_TOLD_MAX = 1_024;
/** A minute is looked at in parts of ten seconds, five minutes in minutes. */
const PARTS = [6, 5] as const;
/** A minute moves a subject's usual weight no further than to so many times itself. */
const WEIGHT_STEP_MAX = 2;
const WEIGHT_MINUTES_MAX = 1_000;
/** Rows after which the mean amount of a request moves no faster. */
const UNIT_ROWS_MAX = 10_000;

export type Kind = "address" | "key" | "organisation";
export const KINDS: readonly Kind[] = ["address", "key", "organisation"];
const MEASURES: readonly Measure[] = ["requests", "tokens", "cost", "others"];
/** Less is not worth anybody's attention; amounts in requests of the usual size. */
const LEAST: Readonly<Record<Measure, readonly [number, number]>> = {
  requests: [20, 50],
  tokens: [10, 25],
  cost: [10, 25],
  others: [6, 10],
};

export interface UsageRow {
  readonly timeMs: number;
  readonly address?: string;
  readonly key?: string;
  readonly organisation?: string;
  readonly requests: number;
  readonly tokens: number;
  /** Dollars. */
  readonly cost: number;
}

export interface Anomaly {
  readonly startMs: number;
  readonly lengthMs: number;
  readonly kind: Kind;
  readonly name: string;
  readonly severity: "warning" | "page";
  readonly class: AnomalyClass;
  /** What stands out: its value, what is usual, and by how many deviations. */
  readonly measure: Measure;
  readonly value: number;
  readonly usual: number;
  readonly z: number;
  readonly basis: Basis;
}

/** What was seen in a window. */
interface Sums {
  requests: number;
  tokens: number;
  cost: number;
  readonly others: Set<string>;
  readonly parts: Float64Array;
}

interface Subject {
  /** What one request of it takes, fixed when it is first seen, so that its history is on one scale. */
  readonly units: Readonly<Record<Measure, number>>;
  readonly series: Map<string, Series>;
  /** What its requests have taken so far, in units: a running mean over WEIGHT_MINUTES_MAX minutes. */
  weight: { minutes: number; mean: number };
}

const noSums = (parts: number): Sums => ({
  requests: 0,
  tokens: 0,
  cost: 0,
  others: new Set(),
  parts: new Float64Array(parts),
});

/** What the window's requests took each, in times of what this subject's have taken before; 1 when none were seen. */
function weightOf({ units, weight }: Subject, { requests, tokens, cost }: Sums): number {
  if (requests <= 0 || weight.mean <= 0) return 1;
  return Math.max(tokens / units.tokens, cost / units.cost) / requests / weight.mean;
}

/** The same, and then the minute is one of those before. */
function learnWeight(subject: Subject, sums: Sums): number {
  const { units, weight } = subject;
  const times = weightOf(subject, sums);
  if (sums.requests <= 0) return times;
  const own = Math.max(sums.tokens / units.tokens, sums.cost / units.cost) / sums.requests;
  const learned = weight.mean > 0 ? Math.min(own, WEIGHT_STEP_MAX * weight.mean) : own;
  weight.minutes = Math.min(weight.minutes + 1, WEIGHT_MINUTES_MAX);
  weight.mean += (learned - weight.mean) / weight.minutes;
  return times;
}

const idOf = (kind: Kind, name: string) => `${kind}\0${name}`;

export class Detector {
  /** Sums of minutes that are not closed, by their start; then by kind and name. */
  readonly #minutes = new Map<number, Map<string, Sums>>();
  #five: { startMs: number; sums: Map<string, Sums> } | undefined;
  readonly #subjects = new Map<Kind, Map<string, Subject>>(KINDS.map((kind) => [kind, new Map()]));
  readonly #others = new Map<string, Others>();
  readonly #units = { rows: 0, tokens: 0, cost: 0 };
  #closedMs = 0;
  #latestMs = 0;
  /** Rows that came after their minute was closed. */
  late = 0;
  /** Subjects that were forgotten. */
  forgotten = 0;

  /** Adds a row. Anomalies are those of windows that its time closes. */
  add(row: UsageRow): Anomaly[] {
    const minute = Math.floor(row.timeMs / MINUTE_MS) * MINUTE_MS;
    if (minute < this.#closedMs) {
      this.late++;
      return [];
    }
    this.#weigh(row);
    const sums = this.#minutes.get(minute) ?? new Map<string, Sums>();
    this.#minutes.set(minute, sums);
    const { address, key, organisation } = row;
    if (address) this.#addTo(sums, idOf("address", address), row, key);
    if (key) this.#addTo(sums, idOf("key", key), row, address);
    if (organisation) this.#addTo(sums, idOf("organisation", organisation), row, undefined);
    this.#latestMs = Math.max(this.#latestMs, row.timeMs);
    return this.advance(this.#latestMs);
  }

  /** It is `nowMs`: closes what is over. */
  advance(nowMs: number): Anomaly[] {
    const found: Anomaly[] = [];
    const over = [...this.#minutes.keys()].filter((start) => start + MINUTE_MS + GRACE_MS <= nowMs);
    for (const start of over.sort((a, b) => a - b)) this.#closeMinute(start, found);
    return found;
  }

  /** There are no more rows: closes all. */
  finish(): Anomaly[] {
    const found = this.advance(Number.POSITIVE_INFINITY);
    this.#closeFive(found);
    return found;
  }

  /** The mean amount of a request, over all. */
  #weigh({ requests, tokens, cost }: UsageRow): void {
    if (requests <= 0) return;
    const units = this.#units;
    units.rows = Math.min(units.rows + 1, UNIT_ROWS_MAX);
    units.tokens += (tokens / requests - units.tokens) / units.rows;
    units.cost += (cost / requests - units.cost) / units.rows;
  }

  #addTo(all: Map<string, Sums>, id: string, row: UsageRow, other: string | undefined): void {
    const sums = all.get(id) ?? noSums(PARTS[0]);
    all.set(id, sums);
    sums.requests += row.requests;
    sums.tokens += row.tokens;
    sums.cost += row.cost;
    const part = Math.floor(((row.timeMs % MINUTE_MS) / MINUTE_MS) * PARTS[0]);
    sums.parts[part] = sums.parts[part]! + row.requests;
    if (other !== undefined && sums.others.size < OTHERS_TOLD_MAX) sums.others.add(other);
  }

  #closeMinute(startMs: number, found: Anomaly[]): void {
    const sums = this.#minutes.get(startMs)!;
    this.#minutes.delete(startMs);
    this.#closedMs = startMs + MINUTE_MS;
    const fiveMs = Math.floor(startMs / LENGTHS_MS[1]) * LENGTHS_MS[1];
    if (this.#five && this.#five.startMs !== fiveMs) this.#closeFive(found);
    this.#five ??= { startMs: fiveMs, sums: new Map() };
    for (const [id, minute] of sums) {
      this.#judge(id, startMs, 0, minute, found);
      this.#addMinute(this.#five.sums, id, (startMs - fiveMs) / MINUTE_MS, minute);
    }
    if (this.#closedMs === fiveMs + LENGTHS_MS[1]) this.#closeFive(found);
  }

  #addMinute(five: Map<string, Sums>, id: string, part: number, minute: Sums): void {
    const sums = five.get(id) ?? noSums(PARTS[1]);
    five.set(id, sums);
    sums.requests += minute.requests;
    sums.tokens += minute.tokens;
    sums.cost += minute.cost;
    sums.parts[part] = minute.requests;
    for (const other of minute.others) if (sums.others.size < OTHERS_TOLD_MAX) sums.others.add(other);
  }

  #closeFive(found: Anomaly[]): void {
    const five = this.#five;
    this.#five = undefined;
    for (const [id, sums] of five?.sums ?? []) this.#judge(id, five!.startMs, 1, sums, found);
  }

  #judge(id: string, startMs: number, length: 0 | 1, sums: Sums, found: Anomaly[]): void {
    const [kind, name] = id.split("\0") as [Kind, string];
    const subject = this.#subject(kind, name);
    const signals: (Signal & { basis: Basis })[] = [];
    let requests: (Signal & { basis: Basis }) | undefined;
    for (const measure of MEASURES) {
      const value = measure === "others" ? sums.others.size : sums[measure];
      const unit = subject.units[measure];
      const judged = this.#series(subject, kind, measure, length, value)?.observe(startMs, value / unit);
      if (!judged) continue;
      const { basis, mean } = judged.usual;
      const signal = { measure, value, usual: unstabilised(mean) * unit, z: judged.z, basis };
      if (measure === "requests") requests = signal;
      if (judged.z >= WARNING && value / unit >= LEAST[measure][length]) signals.push(signal);
    }
    const weight = length === 0 ? learnWeight(subject, sums) : weightOf(subject, sums);
    if (signals.length === 0 || !requests) return;
    const minutes = LENGTHS_MS[length] / MINUTE_MS;
    const seen = { signals, requests, minutes, weight, even: isEven(sums.parts) };
    const { class: named, signal } = classify(seen);
    found.push({
      startMs,
      lengthMs: LENGTHS_MS[length],
      kind,
      name,
      severity: Math.max(...signals.map(({ z }) => z)) >= PAGE ? "page" : "warning",
      class: named,
      ...(signal as Signal & { basis: Basis }),
    });
  }

  /** The subject, now the one seen last. */
  #subject(kind: Kind, name: string): Subject {
    const all = this.#subjects.get(kind)!;
    const { tokens, cost } = this.#units;
    const subject = all.get(name) ?? {
      units: { requests: 1, others: 1, tokens: tokens || 1, cost: cost || 1 },
      series: new Map<string, Series>(),
      weight: { minutes: 0, mean: 0 },
    };
    all.delete(name);
    all.set(name, subject);
    if (all.size > SUBJECTS_MAX) {
      all.delete(all.keys().next().value!);
      this.forgotten++;
    }
    return subject;
  }

  /** The history of one measure; none while it has never been anything but 0. */
  #series(subject: Subject, kind: Kind, measure: Measure, length: 0 | 1, value: number): Series | undefined {
    const id = `${measure} ${length}`;
    let series = subject.series.get(id);
    if (!series && value > 0) {
      const others = this.#others.get(`${kind} ${id}`) ?? new Others();
      this.#others.set(`${kind} ${id}`, others);
      series = new Series(LENGTHS_MS[length], others);
      subject.series.set(id, series);
    }
    return series;
  }
}
