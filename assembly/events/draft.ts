// What is noted of a request for its event before it ends: a slot beside the stream's own, in a pool that exists only
// once a policy has events. As many as there are streams, so a stream always finds one.
//
//   draft: │ fields │ found in the prompt 4 × 16 │ trace 40 │ address 16 │ answer's digest in the making 112 │ request id 64 │ model asked for 128 │
import { STREAMS_MAX } from "../limits";
import { reserve } from "../memory";
import { lenOf, NONE, ptrOf, slice, Slice } from "../slice";
import { BLAKE2S_BYTES } from "./blake2s";
import { TRACE_BYTES } from "./trace";

export const REQUEST_ID_MAX: i32 = 64;
const MODEL_MAX: i32 = 128;

@unmanaged
export class Draft {
  /** The next free one. */
  nextFree: usize;
  /** Where the event goes. */
  ring: usize;
  /** The texts that are kept, or 0. */
  capture: usize;
  /** The rule that decided the injection score, in its pack; or NONE. */
  rule: Slice;
  promptShape: u64;
  firstByteNs: u64;
  requestBytes: u64;
  answerBytes: u64;
  requestIdLength: i32;
  modelLength: i32;
  api: u8;
  stream: bool;
  /** The answer's digest has begun. */
  digested: bool;
  /** The last bytes of the answer have passed. */
  answered: bool;

  /** What was found of a type in the prompt: how often, at most 65,535, and what was done with it. */
  setFound(type: i32, action: u8, count: u32): void {
    const at = changetype<usize>(this) + FOUND_AT + <usize>(type << 2);
    store<u16>(at, <u16>min(count, 0xffff));
    store<u8>(at, action, 2);
  }
  foundCount(type: i32): u32 {
    return load<u16>(changetype<usize>(this) + FOUND_AT + <usize>(type << 2));
  }
  foundAction(type: i32): i32 {
    return load<u8>(changetype<usize>(this) + FOUND_AT + <usize>(type << 2), 2);
  }
  get trace(): usize {
    return changetype<usize>(this) + TRACE_AT;
  }
  get address(): usize {
    return changetype<usize>(this) + ADDRESS_AT;
  }
  get digest(): usize {
    return changetype<usize>(this) + DIGEST_AT;
  }
  get requestId(): Slice {
    return slice(changetype<usize>(this) + ID_AT, this.requestIdLength);
  }
  setRequestId(id: Slice): void {
    this.requestIdLength = keep(changetype<usize>(this) + ID_AT, id, REQUEST_ID_MAX);
  }
  get model(): Slice {
    return slice(changetype<usize>(this) + MODEL_AT, this.modelLength);
  }
  setModel(model: Slice): void {
    this.modelLength = keep(changetype<usize>(this) + MODEL_AT, model, MODEL_MAX);
  }
}

const TYPES_MAX: i32 = 16;
const FOUND_AT: usize = (offsetof<Draft>() + 7) & ~7;
const TRACE_AT: usize = FOUND_AT + 4 * TYPES_MAX;
const ADDRESS_AT: usize = TRACE_AT + TRACE_BYTES;
const DIGEST_AT: usize = ADDRESS_AT + 16;
const ID_AT: usize = DIGEST_AT + BLAKE2S_BYTES;
const MODEL_AT: usize = ID_AT + REQUEST_ID_MAX;
const DRAFT_SIZE: usize = (MODEL_AT + MODEL_MAX + 7) & ~7;

let free: usize = 0;
let created: bool = false;

function keep(to: usize, text: Slice, most: i32): i32 {
  const len = text == NONE ? 0 : min(lenOf(text), most);
  memory.copy(to, ptrOf(text), len);
  return len;
}

/** Makes the pool. At configuration; once is enough. */
export function createDrafts(): void {
  if (created) return;
  created = true;
  const pool = reserve(<usize>STREAMS_MAX * DRAFT_SIZE);
  for (let i = STREAMS_MAX - 1; i >= 0; i--) giveBack(changetype<Draft>(pool + <usize>i * DRAFT_SIZE));
}

/** A cleared draft, or null when STREAMS_MAX are in use. */
export function takeDraft(): Draft | null {
  if (free == 0) return null;
  const draft = changetype<Draft>(free);
  free = draft.nextFree;
  memory.fill(changetype<usize>(draft), 0, DRAFT_SIZE);
  return draft;
}

export function giveBack(draft: Draft): void {
  draft.nextFree = free;
  free = changetype<usize>(draft);
}
