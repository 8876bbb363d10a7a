// The generic cell rate algorithm (ITU-T I.371, as the "virtual scheduling" form): one time per bucket, the
// theoretical arrival time (TAT) of the next request at the limit's exact pace. A request is admitted while TAT
// runs ahead of the clock by no more than the burst. It is a token bucket, in 8 bytes and without a refill.
import { Rate } from "../policy/policy";

/** The TAT after one more request, admitted or not. `arrival` is the bucket's TAT, 0 for an idle one. */
export function next(rate: Rate, arrival: u64, now: u64): u64 {
  return max(now, arrival) + rate.intervalNs;
}

/** The latest TAT that is admitted now. */
export function horizon(rate: Rate, now: u64): u64 {
  return now + rate.burst * rate.intervalNs;
}

/** How many more requests a TAT leaves room for. */
export function remaining(rate: Rate, arrival: u64, now: u64): u64 {
  const limit = horizon(rate, now);
  return arrival >= limit ? 0 : min((limit - max(arrival, now)) / rate.intervalNs, rate.burst);
}
