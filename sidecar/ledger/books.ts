/**
 * The books: what leases add to their budgets, and the only place where that changes. Used by machine.ts, whose opening
 * comment draws the sums.
 */
import { WeirError } from "../errors.ts";
import type { OrganisationState, State } from "./state.ts";
import {
  type BudgetRecord,
  type JournalEntry,
  type LeaseEntry,
  type LeaseRecord,
  LIMITS,
  type Notice,
  noticeIdOf,
  noticeOf,
  type Warning,
} from "./types.ts";

/** The state of one command being applied. */
export interface Step {
  readonly state: State;
  readonly org: OrganisationState;
  readonly now: number;
  readonly notices: Notice[];
}

interface Contribution {
  readonly spent: number;
  readonly outstanding: number;
  readonly debt: number;
}

/** What a lease adds to one of its budgets. */
export function contribution(state: LeaseRecord["state"], entry: LeaseEntry): Contribution {
  return {
    spent: entry.charged,
    outstanding: state === "open" ? Math.max(0, entry.granted - entry.charged) : 0,
    debt: Math.max(0, entry.charged - (entry.granted - entry.returned)),
  };
}

/** What is not free: spent or leased out. */
export function usedOf(record: BudgetRecord): number {
  return Math.max(0, record.spent + record.outstanding);
}

export function returnRest(entry: LeaseEntry): LeaseEntry {
  return { ...entry, returned: Math.max(0, entry.granted - entry.charged) };
}

function chargeRest(entry: LeaseEntry): LeaseEntry {
  return { ...entry, charged: Math.max(entry.granted, entry.charged) };
}

export function usableUntil(now: number, ttlMs: number, windowEnd: number): number {
  return Math.min(now + Math.floor(ttlMs / 2), windowEnd);
}

export function usableMs(step: Step, lease: LeaseRecord): number {
  if (lease.state !== "open") return 0;
  // No longer than at first, also after the clock has gone back.
  return Math.max(0, Math.min(lease.usableUntil - step.now, Math.floor(lease.ttlMs / 2)));
}

/** Whether every sum stays exact after the change. */
export function fits(
  step: Step,
  lease: LeaseRecord,
  next: LeaseRecord["state"],
  entries: LeaseEntry[],
): boolean {
  return entries.every((entry, i) => {
    const record = budgetOf(step, entry);
    const was = contribution(lease.state, lease.entries[i] as LeaseEntry);
    const will = contribution(next, entry);
    const used = record.spent - was.spent + (record.outstanding - was.outstanding);
    return used + will.spent + will.outstanding <= LIMITS.amount;
  });
}

/** Gives a lease its new state and entries and moves its budgets along. The only place where budgets are charged. */
export function change(
  step: Step,
  lease: LeaseRecord,
  next: LeaseRecord["state"],
  entries: LeaseEntry[],
): void {
  const { state, org, now } = step;
  const ends = lease.state === "open" && next !== "open";
  const retention = next === "closed" ? LIMITS.closedRetentionMs : LIMITS.unsettledRetentionMs;
  if (ends) lease.forgetAt = now + retention;
  entries.forEach((entry, i) => {
    const record = budgetOf(step, entry);
    const was = contribution(lease.state, lease.entries[i] as LeaseEntry);
    const will = contribution(next, entry);
    record.spent += will.spent - was.spent;
    record.outstanding += will.outstanding - was.outstanding;
    record.debt += will.debt - was.debt;
    if (ends) {
      record.leases--;
      record.keepUntil = Math.max(record.keepUntil, lease.forgetAt);
    }
    notify(step, record, false, lease.id);
    state.putBudget(org, record);
  });
  lease.entries = entries;
  lease.state = next;
  if (next === "open") {
    const expiresAt = now + lease.ttlMs;
    // The clock has gone back: the index would find it too late.
    if (expiresAt < lease.expiresAt) org.expiries.push({ at: expiresAt, id: lease.id });
    lease.expiresAt = expiresAt;
    lease.usableUntil = usableUntil(now, lease.ttlMs, lease.windowEnd);
  }
  state.putLease(org, lease, ends ? "ended" : "changed");
}

/** A lease keeps its budgets' records alive, so this one is there. */
function budgetOf(step: Step, entry: LeaseEntry): BudgetRecord {
  const record = step.org.budgets.get(entry.budget);
  if (record === undefined) throw new WeirError("internal", `a lease without its budget ${entry.budget}`);
  return record;
}

/** Resolves dead leases, the longest dead first. Returns how many. */
export function sweep(step: Step): number {
  const { expiries, leases } = step.org;
  let count = 0;
  while (count < LIMITS.sweepPerCommand) {
    const due = expiries.peek();
    if (due === undefined || due.at > step.now) break;
    expiries.pop();
    const lease = leases.get(due.id);
    if (lease === undefined || lease.state !== "open") continue;
    if (lease.expiresAt > due.at) {
      // A report has extended it since: to its true place, even if it is dead by now, so that the order holds.
      expiries.push({ at: lease.expiresAt, id: lease.id });
      continue;
    }
    expireIfDue(step, lease);
    count++;
  }
  return count;
}

export function expireIfDue(step: Step, lease: LeaseRecord): void {
  if (lease.state !== "open" || lease.expiresAt > step.now) return;
  const all = lease.onExpiry === "charge_all";
  const entries = lease.entries.map(all ? chargeRest : returnRest);
  for (const entry of entries)
    if (entry.charged > entry.spent)
      note(step, "charged_unseen", entry.budget, lease, entry.charged - entry.spent);
  change(step, lease, "expired", entries);
}

export function note(
  step: Step,
  kind: JournalEntry["kind"],
  budget: string,
  lease: LeaseRecord | null,
  amount: number,
  reason = "",
): void {
  const { id = "", edge = "" } = lease ?? {};
  step.state.append(step.org, { at: step.now, kind, budget, leaseId: id, edge, amount, reason });
}

/** How much of it is spent, in percent. */
export function reached(record: Pick<BudgetRecord, "spent" | "limit">): 0 | 80 | 100 {
  if (record.spent >= record.limit) return 100;
  // Without a product that could pass 2^53: spent ≥ 80 % means at most a fifth is left.
  return record.limit - record.spent <= Math.floor(record.limit / 5) ? 80 : 0;
}

/** What an edge tells the callers of an open lease. */
export function warningOf(step: Step, lease: LeaseRecord): Warning | null {
  if (lease.state !== "open") return null;
  let worst: Warning | null = null;
  lease.entries.forEach((entry, budget) => {
    const { spent, limit, end } = budgetOf(step, entry);
    const least = limit === 0 || end <= step.now ? 0 : reached({ spent, limit });
    if (least === 0) return;
    const percent = Math.max(least, Math.floor((spent / limit) * 100));
    if (worst === null || percent > worst.percent) worst = { budget, percent, resetMs: end - step.now };
  });
  return worst;
}

/** What a refund, or a limit higher than any before it in the window, brings back under a mark may cross it again, and is told again. */
export function againBelow(record: BudgetRecord): void {
  record.notified = Math.min(record.notified, reached(record)) as BudgetRecord["notified"];
}

/** Notices once per window that 80 % or all of a budget is spent, because of `cause`. True if it did. */
export function notify(step: Step, record: BudgetRecord, exhausted: boolean, cause: string): boolean {
  if (record.limit === 0) return false;
  const percent = exhausted ? 100 : reached(record);
  if (percent <= record.notified) return false;
  record.notified = percent;
  const id = noticeIdOf(step.now, percent, cause, record.key);
  step.notices.push(noticeOf(id));
  step.state.keepNotice(step.org, id, step.now);
  note(step, "notice", record.key, null, percent);
  return true;
}
