// A policy's own rules: written into the message that the sidecar gets (weir.v1.Control/CompileRules), since the filter has
// no compiler of patterns. The message and the room for the table that comes back are parts of the policy's block, so
// nothing is allocated when the answer comes. What the message is used for: own-rules.ts.
import { closeFrame, openFrame, putBytes, putNumber } from "../wire";
import { ownRulesRoom } from "../inspect/injection";
import { Tape } from "../json/tape";
import { OWN_RULES_BYTES_MAX, OWN_RULES_TEXT_MAX } from "../limits";
import { eq, lenOf, ptrOf, slice } from "../slice";
import { Writer } from "../writer";
import { take } from "./block";
import { Policy } from "./policy";
import { problem } from "./problems";
import { choice, first, member, textOf } from "./read";

/** What a rule is between its fields: tags and lengths of its texts. */
const RULE_MAX: i32 = 2 << 10;
const message = new Writer(OWN_RULES_TEXT_MAX);
const rule = new Writer(RULE_MAX);

/** Room that `compileRules` takes in the policy's block beside the document's own size. */
export function ownRulesBytes(rules: i32): usize {
  return rules > 0 ? <usize>OWN_RULES_TEXT_MAX + ownRulesRoom(OWN_RULES_BYTES_MAX) + 64 : 0;
}

export function compileRules(tape: Tape, rules: i32, policy: Policy): void {
  if (rules < 0) return;
  openFrame(message);
  for (let n = first(tape, rules); n >= 0; n = tape.next(n)) {
    writeRule(tape, n);
    const id = member(tape, n, "id");
    for (let other = first(tape, rules); other != n; other = tape.next(other)) {
      if (!eq(tape.raw(member(tape, other, "id")), tape.raw(id))) continue;
      problem(tape, id, "an id that no rule before this one has");
      break;
    }
  }
  if (message.overflow) problem(tape, rules, "rules of at most 48 KiB in all");
  const framed = closeFrame(message);
  const to = take(<usize>lenOf(framed));
  memory.copy(to, ptrOf(framed), lenOf(framed));
  policy.ruleMessage = slice(to, lenOf(framed));
  policy.ruleTable = (take(ownRulesRoom(OWN_RULES_BYTES_MAX) + 8) + 15) & ~15;
}

function writeRule(tape: Tape, node: i32): void {
  const phrase = member(tape, node, "phrase");
  const pattern = member(tape, node, "pattern");
  if (<i32>(phrase >= 0) + <i32>(pattern >= 0) != 1) {
    problem(tape, node, "either a `phrase` or a `pattern`");
    return;
  }
  rule.reset();
  putBytes(rule, 1, textOf(tape.raw(member(tape, node, "id"))));
  putBytes(rule, phrase >= 0 ? 2 : 3, textOf(tape.raw(max(phrase, pattern))));
  putNumber(rule, 4, <u64>choice(tape, member(tape, node, "action"), "shadow"));
  if (rule.overflow) problem(tape, node, "a text of at most 2,000 bytes");
  putBytes(message, 1, rule.written);
}

assert(OWN_RULES_BYTES_MAX <= 1 << 20);
