// The two ways in which a guest fails in this host, kept apart because only one of them is a bug of the guest's
// own code: a trap is raised by the Wasm machine, a violation by a rule of the host that the guest broke.
import { phaseName } from "./abi.ts";
import { RULES, type Rule } from "./rules.ts";

/** The guest did what the real host would answer with a trap, a crash, a hang or a corrupted message. */
export class HostViolation extends Error {
  readonly rule: Rule;
  constructor(rule: Rule, detail: string) {
    super(`${rule}: ${RULES[rule]} (${detail})`);
    this.name = "HostViolation";
    this.rule = rule;
  }
}

/** The guest trapped: `unreachable`, an access out of bounds, exhausted stack. */
export class GuestTrap extends Error {
  readonly phase: number;
  constructor(phase: number, cause: unknown) {
    super(
      `the guest trapped in ${phaseName(phase)}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
    this.name = "GuestTrap";
    this.phase = phase;
  }
}
