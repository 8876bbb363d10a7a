// Where the rules look into a text: around traces, places that the classifier (classifier.ts) does not find plainly
// harmless. What it finds plainly harmless the evidence of rules does not make an attack (weights.ts), so most of a text
// is never looked up in their tables.
//
//   text   │ 64 │ 64 │ 64 │ 64 │ 64 │ 64 │ 64 │ …   blocks of the classifier
//                           trace
//                    └──── stretch ────┘            MARGIN blocks on either side, since a rule has several pieces
//
// Bound: STRETCHES_MAX stretches; with more the last one goes on to the end of the text.
import { reserve } from "../memory";

/** log2 of the bytes of a block. */
const BLOCK_SHIFT: i32 = 6;
const MARGIN: i32 = 1;
export const STRETCHES_MAX: i32 = 1024;

/** So many blocks in a row, by their numbers. */
@unmanaged
class Stretch {
  from: i32;
  /** The block behind its last. */
  to: i32;
}

const stretches = reserve(STRETCHES_MAX * offsetof<Stretch>());

export let stretchCount: i32 = 0;

export function clearTraces(): void {
  stretchCount = 0;
}

/** There is a trace in `block` of a text of `blocks`; not before the block of the trace before. */
export function addTrace(block: i32, blocks: i32): void {
  const from = max(block - MARGIN, 0);
  const to = min(block + MARGIN + 1, blocks);
  const last = stretchAt(stretchCount - 1);
  if (stretchCount && from <= last.to) {
    last.to = max(to, last.to);
  } else if (stretchCount == STRETCHES_MAX) {
    last.to = blocks;
  } else {
    const next = stretchAt(stretchCount++);
    next.from = from;
    next.to = to;
  }
}

/** The whole of a text of `blocks` is one stretch. */
export function traceAll(blocks: i32): void {
  stretchCount = 1;
  stretchAt(0).from = 0;
  stretchAt(0).to = blocks;
}

/** Where stretch `i` begins, as an offset. */
export function stretchFrom(i: i32): i32 {
  return stretchAt(i).from << BLOCK_SHIFT;
}

/** Where stretch `i` ends; the last one may end up to a block behind the text. */
export function stretchTo(i: i32): i32 {
  return stretchAt(i).to << BLOCK_SHIFT;
}

function stretchAt(i: i32): Stretch {
  return changetype<Stretch>(stretches + <usize>i * offsetof<Stretch>());
}
