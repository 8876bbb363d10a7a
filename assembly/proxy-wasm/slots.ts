// A fixed pool of equal slots, found by the host's context id. A stream takes one when its headers arrive and
// gives it back in `proxy_on_delete`; with none left the caller refuses the stream. A free slot is all zero.
//
//  index (open addressing, linear probing, twice as many cells as slots)      slots
//  ┌─────────────┬─────────────┬───┐                                         ┌────────┬────────┬───┐
//  │ context u32 │ slot no u32 │ … │                                         │ slot 0 │ slot 1 │ … │
//  └─────────────┴─────────────┴───┘                                         └────────┴────────┴───┘
import { reserve } from "../memory";

export class Slots {
  private readonly mask: u32;
  private readonly index: usize;
  private readonly slots: usize;
  private readonly free: usize;
  private freeCount: i32;

  /** `count` must be a power of two. Context ids are never 0. */
  constructor(
    count: i32,
    private readonly size: i32,
  ) {
    this.mask = 2 * count - 1;
    this.index = reserve(<usize>count * 16);
    this.slots = reserve(<usize>count * <usize>size);
    this.free = reserve(<usize>count * 4);
    this.freeCount = count;
    for (let i = 0; i < count; i++) store<u32>(this.free + ((<usize>i) << 2), count - 1 - i);
  }

  get available(): i32 {
    return this.freeCount;
  }

  /** Takes a zeroed slot for `context`, or 0 when all are taken. */
  open(context: u32): usize {
    if (this.freeCount == 0) return 0;
    const number = load<u32>(this.free + ((<usize>--this.freeCount) << 2));
    let cell = this.home(context);
    while (load<u32>(this.cellAt(cell)) != 0) cell = (cell + 1) & this.mask;
    store<u32>(this.cellAt(cell), context);
    store<u32>(this.cellAt(cell), number, 4);
    return this.at(number);
  }

  /** The slot of `context`, or 0. */
  find(context: u32): usize {
    const cell = this.cellOf(context);
    return cell < 0 ? 0 : this.at(load<u32>(this.cellAt(cell), 4));
  }

  /** The slot of a number from 0. */
  at(number: u32): usize {
    return this.slots + <usize>number * <usize>this.size;
  }

  /** The number of the slot at `slot`. */
  numberOf(slot: usize): i32 {
    return <i32>((slot - this.slots) / <usize>this.size);
  }

  /** Gives the slot of `context` back; its number, or -1 when there is none. */
  close(context: u32): i32 {
    let cell = this.cellOf(context);
    if (cell < 0) return -1;
    const number = load<u32>(this.cellAt(cell), 4);
    memory.fill(this.at(number), 0, this.size);
    store<u32>(this.free + ((<usize>this.freeCount) << 2), number);
    this.freeCount++;
    this.unlink(cell);
    return <i32>number;
  }

  /** Empties a cell and moves later cells of the same run back, so that no search meets a hole. */
  private unlink(from: i32): void {
    let hole = from;
    let cell = hole;
    while (true) {
      cell = (cell + 1) & this.mask;
      const context = load<u32>(this.cellAt(cell));
      if (context == 0) break;
      const distance = (cell - this.home(context)) & this.mask;
      if (distance < ((cell - hole) & this.mask)) continue;
      store<u64>(this.cellAt(hole), load<u64>(this.cellAt(cell)));
      hole = cell;
    }
    store<u64>(this.cellAt(hole), 0);
  }

  private cellOf(context: u32): i32 {
    let cell = this.home(context);
    while (true) {
      const found = load<u32>(this.cellAt(cell));
      if (found == context) return cell;
      if (found == 0) return -1;
      cell = (cell + 1) & this.mask;
    }
  }

  // Context ids count up, so their low bits spread well by themselves.
  private home(context: u32): i32 {
    return context & this.mask;
  }

  private cellAt(cell: i32): usize {
    return this.index + ((<usize>cell) << 3);
  }
}
