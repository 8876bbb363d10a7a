// Refilling ahead: a lease that is running low gets a successor from the tick, so that in steady traffic no request
// waits for the ledger.
import { reserve } from "../memory";
import { Policy, Tier } from "../policy/policy";
import { Lease } from "../shards";
import { Stream, STREAM_SIZE } from "../stream";
import { acquireAhead } from "./acquire";
import { Held } from "./held";

/** A lease is low when less than one part in so many is left. */
const LOW: u64 = 3;

/** Stands for the streams to come: it has a subject and a need, but no context. */
const typical = changetype<Stream>(reserve(STREAM_SIZE));

/** Asks for the next lease if `lease` is running low, from the tick of `asking`. */
export function refillAhead(held: Held, lease: Lease, asking: Policy, now: u64): void {
  const policy = changetype<Policy>(held.policy);
  if (!policy.leases || !isLow(lease)) return;
  typical.subjectTag = held.subjectTag;
  typical.leaseTag = lease.tag;
  typical.budgetMask = held.mask;
  typical.setSubject(held.subject);
  // A lease began as a small multiple of one request's need, doubled `growth` times.
  const shift = 2 + <u64>lease.growth;
  for (let i = 0; i < <i32>lease.count; i++) typical.setReserved(i, max(lease.granted(i) >> shift, 1));
  acquireAhead(typical, policy, asking, changetype<Tier>(held.tier), lease.count, lease.growth, now);
}

function isLow(lease: Lease): bool {
  for (let i = 0; i < <i32>lease.count; i++) if (lease.available(i) < lease.granted(i) / LOW) return true;
  return false;
}
