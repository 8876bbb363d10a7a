/**
 * Which events of a report are new. Each edge numbers its events without gaps and reports them in order, oldest first, so
 * one number per edge is enough: the last one taken. A report that comes twice, late, or with an overlap is recognised
 * whatever happened in between. A gap is what the edge had to drop, as far as it says that it did: else another sidecar took it.
 *
 * Bounds: EDGES_MAX edges, the one that was silent longest is forgotten. What a forgotten edge repeats (or one that now
 * talks to another sidecar) is taken again; the event's id tells readers.
 */

const EDGES_MAX = 4_096;

export interface Arrival {
  /** So many at the start of the report were taken before. */
  readonly known: number;
  /** Events that the edge dropped since its last report. */
  readonly lost: number;
  /** The number to acknowledge. */
  readonly taken: bigint;
}

interface Edge {
  /** The last number. */
  readonly taken: bigint;
  /** How many it had dropped by then. */
  readonly dropped: bigint;
}

const greater = (a: bigint, b: bigint): bigint => (a > b ? a : b);

export class Arrivals {
  /** The edge heard of last is the last one here. */
  readonly #edges = new Map<bigint, Edge>();
  readonly #edgesMax: number;

  constructor(edgesMax: number = EDGES_MAX) {
    this.#edgesMax = edgesMax;
  }

  /** Takes the events `first` … `first + count - 1` of `edge`, which has dropped so many so far. */
  take(edge: bigint, first: bigint, count: number, droppedSoFar: bigint): Arrival {
    const before = this.#edges.get(edge);
    const last = first + BigInt(count) - 1n;
    const taken = greater(before?.taken ?? last, last);
    const dropped = greater(before?.dropped ?? droppedSoFar, droppedSoFar);
    this.#edges.delete(edge);
    this.#edges.set(edge, { taken, dropped });
    if (this.#edges.size > this.#edgesMax) this.#forget();
    if (before === undefined) return { known: 0, lost: 0, taken };
    const next = before.taken + 1n;
    const gap = first > next ? Number(first - next) : 0;
    return {
      known: next > first ? Math.min(Number(next - first), count) : 0,
      lost: Math.min(gap, Number(dropped - before.dropped)),
      taken,
    };
  }

  #forget(): void {
    for (const edge of this.#edges.keys()) {
      this.#edges.delete(edge);
      return;
    }
  }
}
