/**
 * A binary min-heap of (deadline, id), ordered by deadline and then by id, as Redis orders a sorted set: the pure ledger
 * must find dead leases in the same order as the scripts do. Bounded by its user: one entry per live record, and one more for each
 * time that the clock goes back.
 */
export interface Deadline {
  at: number;
  readonly id: string;
}

function before(a: Deadline, b: Deadline): boolean {
  return a.at < b.at || (a.at === b.at && a.id < b.id);
}

export class DeadlineHeap {
  readonly #items: Deadline[] = [];

  peek(): Deadline | undefined {
    return this.#items[0];
  }

  push(item: Deadline): void {
    const items = this.#items;
    let i = items.push(item) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = items[parent] as Deadline;
      if (!before(item, above)) break;
      items[i] = above;
      i = parent;
    }
    items[i] = item;
  }

  pop(): Deadline | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      const right = items[child + 1];
      if (right !== undefined && before(right, items[child] as Deadline)) child++;
      const below = items[child] as Deadline;
      if (!before(below, last)) break;
      items[i] = below;
      i = child;
    }
    items[i] = last;
    return top;
  }
}
