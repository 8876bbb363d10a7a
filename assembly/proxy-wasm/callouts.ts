// Callouts in flight. The host answers a callout on the root context with the token that the dispatch gave; this
// table says what the answer is for. Bounded: a callout that finds no place is not made.
//
//  cell: | token u32 (0 = free) | purpose u32 | reference u32 |
import { reserve } from "../memory";
import { lenOf, ptrOf, Slice } from "../slice";
import { proxy_http_call, Status } from "./abi";

export const CALLOUTS_MAX: i32 = 256;

const CELL: usize = 12;
const cells = reserve(<usize>CALLOUTS_MAX * CELL);
const tokenOut = reserve(4);
let inFlight: i32 = 0;

let purposeNow: i32 = 0;
let referenceNow: i32 = 0;

/** Sends a request to `cluster` and remembers what it is for; false when the host or the table refuses. */
export function callout(
  cluster: Slice,
  headers: Slice,
  body: Slice,
  timeoutMs: i32,
  purpose: i32,
  reference: i32,
): bool {
  if (inFlight >= CALLOUTS_MAX) return false;
  const status = proxy_http_call(
    ptrOf(cluster),
    lenOf(cluster),
    ptrOf(headers),
    lenOf(headers),
    ptrOf(body),
    lenOf(body),
    0,
    0,
    timeoutMs,
    tokenOut,
  );
  if (status != Status.Ok) return false;
  const cell = find(0);
  // Tokens may be 0 (hosts count from 0 or 1), so they are kept one higher.
  store<u32>(cell, load<u32>(tokenOut) + 1);
  store<u32>(cell, purpose, 4);
  store<u32>(cell, reference, 8);
  inFlight++;
  return true;
}

/** Takes the callout of `token` out of the table; false when it is not ours. Then `calloutPurpose()` and
 *  `calloutReference()` tell what it was for. */
export function answered(token: u32): bool {
  const cell = find(token + 1);
  if (!cell) return false;
  purposeNow = load<u32>(cell, 4);
  referenceNow = load<u32>(cell, 8);
  store<u32>(cell, 0);
  inFlight--;
  return true;
}

/** Takes a callout out of the table whose answer will not come. */
export function forgetCallout(purpose: i32, reference: i32): void {
  for (let i = 0; i < CALLOUTS_MAX; i++) {
    const cell = cells + <usize>i * CELL;
    if (load<u32>(cell) == 0 || load<i32>(cell, 4) != purpose || load<i32>(cell, 8) != reference) continue;
    store<u32>(cell, 0);
    inFlight--;
    return;
  }
}

export function calloutsInFlight(): i32 {
  return inFlight;
}

export function calloutPurpose(): i32 {
  return purposeNow;
}

export function calloutReference(): i32 {
  return referenceNow;
}

function find(stored: u32): usize {
  for (let i = 0; i < CALLOUTS_MAX; i++) {
    const cell = cells + <usize>i * CELL;
    if (load<u32>(cell) == stored) return cell;
  }
  return 0;
}
