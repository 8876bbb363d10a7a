// Compiles what a tier says of answers: what must not leave, what a broken answer costs, and what cannot be read.
import { Tape } from "../json/tape";
import { BLOCK } from "../redact/types";
import { OnAbort, Tier } from "./policy";
import { choice, member } from "./read";
import { compileRedaction, hasAction, hasActions, phrases } from "./redaction";

/** After the tier's prompt: what is to be put back must be readable. */
export function compileResponse(tape: Tape, node: i32, tier: Tier): void {
  tier.redactions = compileRedaction(tape, node);
  tier.phrases = phrases;
  tier.redacts = hasActions(tier.redactions);
  tier.blocks = hasAction(tier.redactions, BLOCK);
  const abort = member(tape, node, "on_abort");
  tier.onAbort = <u8>(
    (choice(tape, abort, "zero")
      ? OnAbort.Zero
      : choice(tape, abort, "reserved")
        ? OnAbort.Reserved
        : OnAbort.Delivered)
  );
  tier.usageTold = choice(tape, member(tape, node, "usage"), "told");
  const compressed = member(tape, node, "compressed");
  tier.refusesCompressed =
    compressed >= 0 ? choice(tape, compressed, "refuse") : tier.redacts || tier.restores;
}
