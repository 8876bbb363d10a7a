// Compiles what a tier does instead of refusing: an allowance while the ledger is away, cheaper models where a budget
// does not cover the one that was asked for.
import { Tape } from "../json/tape";
import { endOf, eq, Slice } from "../slice";
import { take } from "./block";
import { Downgrade, hasInnerStar, Meter, Outage, Policy, Tier } from "./policy";
import { problem } from "./problems";
import { choice, count, first, member, textOf } from "./read";
import { parsedQuantity, parsePercent, share } from "./units";

export function compileOutage(tape: Tape, node: i32, tier: Tier): void {
  if (choice(tape, node, "allow")) tier.outage = <u8>Outage.Allow;
  const allowance = first(tape, node) < 0 ? -1 : member(tape, node, "allowance");
  if (allowance < 0) return;
  tier.outage = <u8>Outage.Allowance;
  parsePercent(tape.raw(allowance));
  tier.allowance = <u32>parsedQuantity;
  if (tier.budgetCount == 0) problem(tape, node, "a tier with a budget: without one no outage concerns it");
  for (let i = 0; i < tier.budgetCount; i++) {
    if (share(tier.budget(i).limit, tier.allowance) > 0) continue;
    problem(tape, allowance, "a share that is at least 1 of each budget of this tier");
    return;
  }
}

export function compileDowngrades(tape: Tape, node: i32, tier: Tier): void {
  tier.downgradeCount = count(tape, node);
  if (tier.downgradeCount > 0 && tier.budgetCount == 0) {
    problem(tape, node, "a tier with a budget: without one there is nothing to downgrade for");
  }
  tier.downgrades = take(<usize>tier.downgradeCount * offsetof<Downgrade>());
  let value = first(tape, node);
  for (let i = 0; i < tier.downgradeCount; i++, value = tape.next(value)) {
    const downgrade = tier.downgrade(i);
    downgrade.from = textOf(tape.key(value));
    downgrade.to = textOf(tape.raw(value));
    if (hasInnerStar(downgrade.from))
      problem(tape, value, "a model's name on the left with * at its end only");
    if (eq(downgrade.from, downgrade.to))
      problem(tape, value, "another model than the one that it stands in for");
    else if (hasStar(downgrade)) problem(tape, value, "one model: a * stands only on the left");
  }
}

function hasStar(downgrade: Downgrade): bool {
  return load<u8>(endOf(downgrade.to) - 1) == 42;
}

/** A cheaper model that could not be charged would never be asked. */
export function checkDowngrades(tape: Tape, policy: Policy): void {
  let node = first(tape, member(tape, tape.root, "tiers"));
  for (let t = 0; t < policy.tierCount; t++, node = tape.next(node)) {
    const tier = policy.tier(t);
    let value = first(tape, member(tape, node, "downgrade"));
    for (let i = 0; i < tier.downgradeCount; i++, value = tape.next(value)) {
      const to = tier.downgrade(i).to;
      if (counts(tier, to) && policy.price(to) == null) {
        problem(tape, value, "a model with a price, since this tier has a budget on cost");
      }
    }
  }
}

/** Whether a budget on cost covers `model`. */
function counts(tier: Tier, model: Slice): bool {
  for (let i = 0; i < tier.budgetCount; i++) {
    if (tier.budget(i).meter == Meter.Cost && tier.budget(i).covers(model)) return true;
  }
  return false;
}
