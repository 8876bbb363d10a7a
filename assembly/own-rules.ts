// A policy's own rules on their way in. The filter has no compiler of patterns, so the sidecar compiles them: asked from the
// tick, again and again with growing waits until it answers. The answer is a table, checked as every pack is and copied
// into room that the policy reserved while it was configured. Until it is there, tiers that inspect refuse (request.ts).
//
// One question is on its way for each policy. A policy that ends takes its question with it (`forgetRules`), so that an
// answer never meets another policy's memory. Bounds: OWN_RULES_BYTES_MAX per table, PROBLEMS_SHOWN lines in the log.
import { callCompiler, Purpose } from "./sidecar";
import { fieldBytes, fieldNumber, malformed, nextField, openMessage } from "./wire";
import { keepOwnRules, ownRulesPack } from "./inspect/injection";
import { OWN_RULES_BYTES_MAX } from "./limits";
import { Policy } from "./policy/policy";
import { NS_PER_MS } from "./policy/units";
import { LogLevel } from "./proxy-wasm/abi";
import { forgetCallout } from "./proxy-wasm/callouts";
import { log, setTickPeriod } from "./proxy-wasm/host";
import { eq, lenOf, NONE, Slice } from "./slice";
import { Writer } from "./writer";

const WAIT_FIRST_NS: u64 = 250_000_000;
const WAIT_LAST_NS: u64 = 60_000_000_000;
/** The tick while rules are awaited, if the policy's own is slower. */
const TICK_MS: u32 = 100;
const PROBLEMS_SHOWN: i32 = 32;
const line = new Writer(2304);

/** The period of the root's tick, as long as its policy is as it is now. */
export function tickPeriod(policy: Policy): u32 {
  return policy.awaitsRules ? min(policy.syncMs, TICK_MS) : policy.syncMs;
}

/** Asks for the table when that is due. `number` is the root's, for the answer. */
export function askForRules(policy: Policy, number: i32, now: u64): void {
  if (!policy.awaitsRules || policy.ruleAsked || now < policy.ruleDueNs) return;
  policy.ruleAsked = callCompiler(policy, number, policy.ruleMessage);
  if (!policy.ruleAsked) failed(policy, now, "the host would not send them to the sidecar");
}

/** The sidecar has answered (NONE: it has not). */
export function takeRules(policy: Policy, answer: Slice, now: u64): void {
  policy.ruleAsked = false;
  if (!policy.awaitsRules) return;
  if (answer == NONE) return failed(policy, now, "the sidecar did not compile them");
  let pack = NONE;
  let problems = 0;
  openMessage(answer);
  while (nextField()) {
    if (fieldNumber == 1) pack = fieldBytes;
    else if (fieldNumber == 2 && problems++ < PROBLEMS_SHOWN) {
      log(LogLevel.Critical, begun().bytes(fieldBytes).written);
    }
  }
  if (malformed()) return failed(policy, now, "the sidecar's answer is malformed");
  if (problems > 0) return failed(policy, now, "some do not compile");
  if (pack == NONE || lenOf(pack) > OWN_RULES_BYTES_MAX || !keepOwnRules(pack, policy.ruleTable)) {
    return failed(policy, now, "the sidecar is of another version");
  }
  policy.ruleLength = lenOf(pack);
  setTickPeriod(0);
  setTickPeriod(policy.syncMs);
  log(LogLevel.Info, begun().text("they are in force").written);
}

/** Takes the table of another policy with the same rules, so that a new configuration is not without them. */
export function shareRules(from: Policy, to: Policy): void {
  if (!to.awaitsRules || from.ruleLength == 0 || !eq(from.ruleMessage, to.ruleMessage)) return;
  if (keepOwnRules(ownRulesPack(from.ruleTable, from.ruleLength), to.ruleTable))
    to.ruleLength = from.ruleLength;
}

/** The policy of root `number` ends: no answer will be taken for it. */
export function forgetRules(policy: Policy, number: i32): void {
  if (policy.ruleAsked) forgetCallout(Purpose.CompileRules, number);
}

function begun(): Writer {
  return line.reset().text("weir: rules: ");
}

function failed(policy: Policy, now: u64, why: string): void {
  const wait = min(WAIT_FIRST_NS << (<u64>min(policy.ruleFailures, 16)), WAIT_LAST_NS);
  policy.ruleFailures++;
  policy.ruleDueNs = now + wait;
  begun()
    .text(why)
    .text(": tiers that inspect answer 503; asking again in ")
    .u64(wait / NS_PER_MS);
  log(LogLevel.Warn, line.text(" ms").written);
}
