// Room for the events that a chunk has cut, shared by all streams: a stream has a buffer only while an event of its
// is incomplete between two chunks, so few buffers serve many streams. Most events fit the small ones.
//
//   small: 256 × 2 KiB      large: 64 × PIECE_MAX      each with a stack of the free ones
import { reserve } from "../memory";
import { PIECE_MAX } from "./spans";
import { State } from "./state";

const SMALL: i32 = 2 << 10;
const SMALL_COUNT: i32 = 256;
const LARGE_COUNT: i32 = 64;

const small: usize = reserve(SMALL * SMALL_COUNT);
const large: usize = reserve(PIECE_MAX * LARGE_COUNT);
const freeSmall: usize = reserve(SMALL_COUNT << 2);
const freeLarge: usize = reserve(LARGE_COUNT << 2);
let smallCount: i32 = 0;
let largeCount: i32 = 0;
/** A buffer whose bytes the caller may still be looking at. */
let retired: usize = 0;

for (let i = 0; i < SMALL_COUNT; i++) giveHold(small + <usize>i * SMALL);
for (let i = 0; i < LARGE_COUNT; i++) giveHold(large + <usize>i * PIECE_MAX);

/** Adds [p, end) to what the stream holds back; false, and nothing is added, when there is no room for it. */
export function hold(state: State, p: usize, end: usize): bool {
  const more = <i32>(end - p);
  const length = state.holdLength + more;
  if (length > PIECE_MAX) return false;
  if (length > state.holdRoom) {
    const to = takeHold(length);
    if (!to) return false;
    if (state.hold) {
      memory.copy(to, state.hold, state.holdLength);
      giveHold(state.hold);
    }
    state.hold = to;
    state.holdRoom = to < large ? SMALL : PIECE_MAX;
  }
  memory.copy(state.hold + state.holdLength, p, more);
  state.holdLength = length;
  return true;
}

/** Takes what is held from the stream; the bytes stay in place until `recycle`. */
export function retire(state: State): void {
  recycle();
  retired = state.hold;
  state.hold = 0;
  state.holdLength = 0;
  state.holdRoom = 0;
}

export function recycle(): void {
  if (retired) giveHold(retired);
  retired = 0;
}

export function releaseHold(state: State): void {
  if (state.hold) giveHold(state.hold);
  state.hold = 0;
}

/** Buffers that are not in use, small ones in the low half. */
export function holdsFree(): i32 {
  return smallCount | (largeCount << 16);
}

function takeHold(length: i32): usize {
  if (length <= SMALL && smallCount) {
    smallCount--;
    return load<u32>(freeSmall + ((<usize>smallCount) << 2));
  }
  if (largeCount == 0) return 0;
  largeCount--;
  return load<u32>(freeLarge + ((<usize>largeCount) << 2));
}

function giveHold(at: usize): void {
  if (at < large) {
    store<u32>(freeSmall + ((<usize>smallCount) << 2), <u32>at);
    smallCount++;
  } else {
    store<u32>(freeLarge + ((<usize>largeCount) << 2), <u32>at);
    largeCount++;
  }
}
