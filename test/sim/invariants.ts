/**
 * What must hold after every step, computed independently of the machine's own sums: a shadow remembers every lease that
 * ever was, also after the ledger has forgotten it, and the budgets must be what the leases add up to.
 */
import assert from "node:assert/strict";
import type { OrganisationState } from "../../sidecar/ledger/state.ts";
import {
  type Acquire,
  type AcquireReply,
  type BudgetRecord,
  type BudgetRequest,
  type Granted,
  identityOf,
  type LeaseRecord,
  LIMITS,
} from "../../sidecar/ledger/types.ts";

export type Shadow = Map<string, LeaseRecord>;

interface Sum {
  spent: number;
  outstanding: number;
  debt: number;
  open: number;
}

function checkLease(lease: LeaseRecord, sums: Map<string, Sum>): void {
  for (const entry of lease.entries) {
    const open = lease.state === "open";
    const outstanding = open ? Math.max(0, entry.granted - entry.charged) : 0;
    const within = Math.min(entry.charged, entry.granted - entry.returned);
    const amounts = [entry.granted, entry.spent, entry.charged, entry.returned, within, outstanding];
    // Only what a person refunds is below zero.
    const least = entry.granted === 0 && lease.sequence === LIMITS.amount ? -LIMITS.amount : 0;
    const exact = amounts.every((amount) => Number.isSafeInteger(amount) && amount >= least);
    const conserved = within + outstanding + entry.returned === entry.granted;
    if (!exact || !conserved || entry.charged < entry.spent)
      assert.fail(`${lease.id}: not conserved: ${JSON.stringify({ ...entry, within, outstanding })}`);
    const sum = sums.get(entry.budget) ?? { spent: 0, outstanding: 0, debt: 0, open: 0 };
    sum.spent += entry.charged;
    sum.outstanding += outstanding;
    sum.debt += entry.charged - within;
    if (open) sum.open++;
    sums.set(entry.budget, sum);
  }
}

function checkBudget(record: BudgetRecord, sum: Sum): void {
  const { spent, outstanding, debt, leases: open } = record;
  const same =
    spent === sum.spent && outstanding === sum.outstanding && debt === sum.debt && open === sum.open;
  if (!same)
    assert.deepEqual({ spent, outstanding, debt, open }, sum, `${record.key}: is not the sum of its leases`);
  if (spent + outstanding > record.limitMax + debt)
    assert.fail(`${record.key}: ${spent} + ${outstanding} over ${record.limitMax} + ${debt}`);
}

/** Every crossing that the books know is kept for who tells it, and none that they do not know. */
function checkUntold(org: OrganisationState): void {
  const noticed = org.journal
    .filter(({ kind }) => kind === "notice")
    .map(({ at, budget, amount }) => `${at} ${amount} ${budget}`);
  const kept = [...org.untold].map((id) => {
    const [at, percent, , ...key] = id.split("|");
    return `${at} ${percent} ${key.join("|")}`;
  });
  assert.deepEqual(
    [...new Set(kept)].sort(),
    [...new Set(noticed)].sort(),
    "notices kept are not those made",
  );
}

/** Throws AssertionError. */
export function checkState(org: OrganisationState, shadow: Shadow): void {
  checkUntold(org);
  const sums = new Map<string, Sum>();
  for (const lease of shadow.values()) checkLease(lease, sums);
  for (const record of org.budgets.values())
    checkBudget(record, sums.get(record.key) ?? { spent: 0, outstanding: 0, debt: 0, open: 0 });
}

function currentOf(org: OrganisationState, budget: BudgetRequest, now: number): BudgetRecord | undefined {
  const identity = `${identityOf(budget)}|`;
  return [...org.budgets.values()].find(
    ({ key, start, end }) => key.startsWith(identity) && start <= now && now < end,
  );
}

/** A grant that is new fits into what its own limit left, by the books after it; a grant of nothing always does. */
export function checkNewGrant(org: OrganisationState, command: Acquire, reply: Granted, now: number): void {
  for (const [i, budget] of command.budgets.entries()) {
    if (reply.granted[i] === 0) continue;
    const record = currentOf(org, budget, now);
    const used = (record?.spent ?? 0) + (record?.outstanding ?? 0);
    assert.ok(used <= budget.limit, `${command.leaseId}: ${used} out of ${budget.limit} on ${budget.name}`);
  }
}

/** Sizes of a first grant; of a denial, that the books bear it out: it changes none of them. */
export function checkAcquire(
  org: OrganisationState,
  command: Acquire,
  reply: AcquireReply,
  now: number,
): void {
  if (reply.outcome === "denied") {
    const budget = command.budgets.find(({ name }) => name === reply.budget);
    assert.ok(
      budget !== undefined && budget.need > 0 && reply.used + budget.need > budget.limit,
      `${command.leaseId}: denied for nothing`,
    );
    assert.equal(reply.never, budget.need > budget.limit);
    const spent = Math.max(0, currentOf(org, budget, now)?.spent ?? 0);
    assert.equal(reply.busy, spent + budget.need <= budget.limit, `${command.leaseId}: busy ${reply.busy}`);
    return;
  }
  command.budgets.forEach(({ need, want, limit }, i) => {
    const granted = reply.granted[i] ?? -1;
    assert.ok(
      granted >= need && granted <= Math.max(need, want),
      `${command.leaseId}: granted ${granted} of ${need}…${want}`,
    );
    assert.ok(
      (reply.remaining[i] ?? -1) >= 0 && (reply.remaining[i] ?? 0) <= limit,
      `${command.leaseId}: remaining`,
    );
  });
  assert.ok(
    reply.usableMs >= 0 && reply.usableMs <= command.ttlMs / 2,
    `${command.leaseId}: usable ${reply.usableMs}`,
  );
}
