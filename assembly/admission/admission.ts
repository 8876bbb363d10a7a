// Local limits: may this subject, from this address, call now? Every applicable bucket is looked at first and only
// then are they debited together, so a denial debits nothing. Two records are concerned at most, the address's and
// the subject's; each is one read and one compare-and-set, tried again when another worker was faster.
import { mix } from "../hash";
import { SWAP_TRIES } from "../limits";
import { Lane, Rate, Tier } from "../policy/policy";
import { Shard } from "../shards";
import { horizon, next, remaining } from "./gcra";

export enum Admission {
  Admitted = 0,
  Denied = 1,
  /** Shared data is missing, or was contended beyond all bounds. */
  Unavailable = 2,
}

const shard = new Shard();

/** Of the limit that denied, or else of the one with the least left; null without limits. */
export let limiting: Rate | null = null;
/** Requests that it still admits. */
export let left: u64 = 0;
/** Denied: how long until one request is admitted. Admitted: until the whole burst is back. In nanoseconds. */
export let waitNs: u64 = 0;

/** Checks and debits the shield of an address. */
export function admitAddress(shield: Rate, address: u64, now: u64): Admission {
  limiting = null;
  return admit(changetype<usize>(shield), 1, mix(address + 1), now);
}

/** Checks and debits all limits of a tier for one subject and lane. */
export function admitSubject(tier: Tier, lane: Lane, subject: u64, now: u64): Admission {
  limiting = null;
  return tier.rateCount == 0 ? Admission.Admitted : admit(tier.rates, tier.rateCount, subject, now, lane);
}

/** Gives back one request of an address after its subject was denied. */
export function refundAddress(shield: Rate, address: u64, now: u64): void {
  const tag = mix(address + 1);
  for (let i = 0; i < SWAP_TRIES; i++) {
    if (!shard.open(tag)) return;
    const bucket = bucketTag(tag, shield, 0, 0);
    const arrival = shard.arrival(bucket);
    if (arrival <= now) return;
    shard.setArrival(bucket, arrival - shield.intervalNs, now);
    if (shard.commit()) return;
  }
}

/** A bucket belongs to one rate: at another pace, of another policy, its arrival time would mean another wait. */
function bucketTag(tag: u64, rate: Rate, number: i32, lane: i32): u64 {
  return mix(mix(tag ^ rate.intervalNs ^ ((<u64>(number * 2 + lane + 1)) << 56)) ^ rate.burst);
}

function rateAt(rates: usize, i: i32): Rate {
  return changetype<Rate>(rates + <usize>i * offsetof<Rate>());
}

function admit(rates: usize, count: i32, tag: u64, now: u64, lane: i32 = 0): Admission {
  for (let i = 0; i < SWAP_TRIES; i++) {
    if (!shard.open(tag)) return Admission.Unavailable;
    if (!check(rates, count, tag, now, lane)) return Admission.Denied;
    for (let n = 0; n < count; n++) {
      const rate = rateAt(rates, n);
      const bucket = bucketTag(tag, rate, n, lane);
      shard.setArrival(bucket, next(rate, shard.arrival(bucket), now), now);
    }
    if (shard.commit()) return Admission.Admitted;
  }
  return Admission.Unavailable;
}

/**
 * Looks at every limit; leaves the one to report, and false if any denies: of those that do it is the one with the longest wait,
 * since until then no request passes.
 */
function check(rates: usize, count: i32, tag: u64, now: u64, lane: i32): bool {
  left = u64.MAX_VALUE;
  let denied = false;
  for (let n = 0; n < count; n++) {
    const rate = rateAt(rates, n);
    const bucket = bucketTag(tag, rate, n, lane);
    const arrival = next(rate, shard.arrival(bucket), now);
    const latest = horizon(rate, now);
    if (arrival > latest) {
      if (!denied || arrival - latest > waitNs) {
        limiting = rate;
        left = 0;
        waitNs = arrival - latest;
      }
      denied = true;
      continue;
    }
    const more = remaining(rate, arrival, now);
    if (denied || more >= left) continue;
    limiting = rate;
    left = more;
    waitNs = arrival - now;
  }
  return !denied;
}
