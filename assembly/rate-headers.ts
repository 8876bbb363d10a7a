// What a caller is told of its rate limits: the fields of the IETF draft "RateLimit header fields for HTTP" (draft
// 10: a policy `"name";q=quota;w=window`, a state `"name";r=remaining;t=seconds`) and the x-ratelimit-* ones that
// OpenAI's clients read.
import { LIMIT_REQUESTS, RATELIMIT, RATELIMIT_POLICY, REMAINING_REQUESTS, RESET_REQUESTS } from "./headers";
import { Rate } from "./policy/policy";
import { NS_PER_MS, NS_PER_S } from "./policy/units";
import { MapType } from "./proxy-wasm/abi";
import { HeaderList, setHeader } from "./proxy-wasm/headers";
import { Writer } from "./writer";

const value = new Writer(64);

/** Whole seconds of a duration, rounded up: a caller that waits so long is not early. */
export function secondsUp(ns: u64): u64 {
  return (ns + NS_PER_S - 1) / NS_PER_S;
}

function policyText(to: Writer, rate: Rate): Writer {
  return to
    .text('"requests";q=')
    .u64(rate.limit)
    .text(";w=")
    .u64(rate.periodNs / NS_PER_S);
}

function stateText(to: Writer, left: u64, resetNs: u64): Writer {
  return to.text('"requests";r=').u64(left).text(";t=").u64(secondsUp(resetNs));
}

/** As OpenAI writes durations: "1.234s". */
function durationText(to: Writer, ns: u64): Writer {
  const ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
  to.u64(ms / 1000);
  const rest = ms % 1000;
  if (rest != 0) {
    to.byte(46);
    if (rest < 100) to.byte(48);
    if (rest < 10) to.byte(48);
    to.u64(rest);
  }
  return to.byte(115);
}

/** Adds the fields to an answer of ours. */
export function addRateHeaders(to: HeaderList, rate: Rate, left: u64, resetNs: u64): void {
  policyText(to.begin(RATELIMIT_POLICY), rate);
  to.end();
  stateText(to.begin(RATELIMIT), left, resetNs);
  to.end().begin(LIMIT_REQUESTS).u64(rate.limit);
  to.end().begin(REMAINING_REQUESTS).u64(left);
  to.end();
  durationText(to.begin(RESET_REQUESTS), resetNs);
  to.end();
}

/** Sets the fields on the upstream's answer. */
export function setRateHeaders(rate: Rate, left: u64, resetNs: u64): void {
  setHeader(MapType.ResponseHeaders, RATELIMIT_POLICY, policyText(value.reset(), rate).written);
  setHeader(MapType.ResponseHeaders, RATELIMIT, stateText(value.reset(), left, resetNs).written);
  setHeader(MapType.ResponseHeaders, LIMIT_REQUESTS, value.reset().u64(rate.limit).written);
  setHeader(MapType.ResponseHeaders, REMAINING_REQUESTS, value.reset().u64(left).written);
  setHeader(MapType.ResponseHeaders, RESET_REQUESTS, durationText(value.reset(), resetNs).written);
}
