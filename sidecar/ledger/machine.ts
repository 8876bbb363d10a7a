/**
 * The ledger itself: `apply(state, command, now) → reply`. No I/O, no clock, no randomness; the Lua scripts under redis/
 * are the same transitions, and this is what they are compared with.
 *
 * A lease adds to each of its budgets three numbers, which `contribution` computes from the lease alone; every change of
 * a lease changes the budgets by the difference, so a budget is always the sum of its leases:
 *
 *              granted
 *   |<---------------------------->|
 *   [ charged    ][ outstanding    ]            open
 *   [ charged    ][ returned       ]            ended: final, released, or expired under charge_reported
 *   [ charged (spent + unseen)     ]            expired under charge_all, until a final report arrives
 *   [ charged                      ][ debt ]    spent more than it held
 *
 * Hence, always: granted = (charged − debt) + outstanding + returned per lease, and spent + outstanding ≤ limit + debt
 * per budget (with the highest limit of the window).
 *
 * A person's adjustment is kept as one more lease, closed from the start: granted 0, charged the amount (below zero for a
 * refund, which it returns, so that the sums above hold for it too), and no report can be newer than it. So it counts
 * once however often it is sent. A refund, and then a correction downwards of what it refunded, may leave `spent` below
 * zero: that is credit in the books, but never lets more than the limit out at a time.
 *
 * How much is granted: `need` if it fits into what is left, and above it at most 1/8 of what is left, so that eight edges
 * that come together each get a slice and the last eighth is dealt out request by request (exact mode: need = granted).
 *
 * `usable` is half the time to live: an edge that hears nothing stops taking reservations while the ledger still holds
 * the other half for the requests in flight. Only an edge that stays silent for all of it is taken for dead.
 */
import { WeirError } from "../errors.ts";
import { windowAt } from "./calendar.ts";
import type { OrganisationState, State } from "./state.ts";
import {
  type Acquire,
  type AcquireReply,
  type Adjust,
  type AdjustReply,
  type BudgetRecord,
  type BudgetRequest,
  type Command,
  describeKey,
  identityOf,
  type JournalEntry,
  type LeaseEntry,
  type LeaseRecord,
  LIMITS,
  type Notice,
  organisationOf,
  type Release,
  type Reply,
  type ReportReply,
  type Settle,
} from "./types.ts";

/** The state of one command being applied. */
interface Step {
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

/** The size of a slice of a budget of which `left` is free: what is granted, or -1 if not even `need` fits. */
export function slice(need: number, want: number, left: number): number {
  if (need > left) return -1;
  return Math.max(need, Math.min(want, Math.floor(left / LIMITS.shareDivisor)));
}

/** Applies a valid command (see validate.ts) to the state. Throws WeirError `conflict`. */
export function apply(state: State, command: Command, now: number): Reply {
  const organisation = command.kind === "sweep" ? command.organisation : organisationOf(command.subject);
  const step: Step = { state, org: state.organisation(organisation), now, notices: [] };
  const expired = sweep(step);
  state.forget(step.org, now);
  switch (command.kind) {
    case "acquire":
      return acquire(step, command);
    case "settle":
      return settle(step, command);
    case "release":
      return release(step, command);
    case "adjust":
      return adjust(step, command);
    case "sweep":
      return { expired, notices: step.notices };
  }
}

function acquire(step: Step, command: Acquire): AcquireReply {
  const known = step.state.lease(step.org, command.leaseId, step.now);
  if (known !== undefined) return repeated(step, command, known);

  const grants: { record: BudgetRecord; request: BudgetRequest; granted: number }[] = [];
  for (const request of command.budgets) {
    const record = openBudget(step, request);
    const used = usedOf(record);
    const granted = slice(request.need, request.want, request.limit - used);
    if (granted < 0) return deny(step, request, record, used);
    grants.push({ record, request, granted });
  }
  const windowEnd = Math.min(...grants.map(({ record }) => record.end));
  const lease: LeaseRecord = {
    id: command.leaseId,
    edge: command.edge,
    subject: command.subject,
    ttlMs: command.ttlMs,
    onExpiry: command.onExpiry,
    windowEnd,
    state: "open",
    sequence: 0,
    usableUntil: usableUntil(step.now, command.ttlMs, windowEnd),
    expiresAt: step.now + command.ttlMs,
    forgetAt: Number.POSITIVE_INFINITY,
    entries: grants.map(({ record, request, granted }) => ({
      budget: record.key,
      granted,
      spent: 0,
      charged: 0,
      returned: 0,
      remaining: request.limit - usedOf(record) - granted,
    })),
  };
  for (const { record, request, granted } of grants) {
    record.limit = request.limit;
    record.limitMax = Math.max(record.limitMax, request.limit);
    record.outstanding += granted;
    record.leases++;
    notify(step, record, false);
    step.state.putBudget(step.org, record);
  }
  step.state.putLease(step.org, lease, "opened");
  return grantedReply(step, lease);
}

/** What is not free: spent or leased out. */
function usedOf(record: BudgetRecord): number {
  return Math.max(0, record.spent + record.outstanding);
}

/** An Acquire that was applied before: the same grant; only the time that is left has moved on. */
function repeated(step: Step, command: Acquire, lease: LeaseRecord): AcquireReply {
  const same =
    lease.entries.length === command.budgets.length &&
    command.budgets.every((request, i) => {
      const key = lease.entries[i]?.budget ?? "";
      return key.slice(0, key.lastIndexOf("|")) === identityOf(request);
    });
  if (!same)
    throw new WeirError("conflict", `lease_id: ${command.leaseId}: was used before, for other budgets`);
  expireIfDue(step, lease);
  return grantedReply(step, lease);
}

function grantedReply(step: Step, lease: LeaseRecord): AcquireReply {
  return {
    outcome: "granted",
    granted: lease.entries.map((entry) => entry.granted),
    remaining: lease.entries.map((entry) => entry.remaining),
    usableMs: usableMs(step, lease),
    notices: step.notices,
  };
}

function deny(step: Step, request: BudgetRequest, record: BudgetRecord, used: number): AcquireReply {
  const never = request.need > request.limit;
  const busy = request.need <= request.limit - Math.max(0, record.spent);
  // A budget that turns requests away is used up, even if the last few tokens were too few for anyone; but not while
  // leases that may come back unspent are all that stands in the way.
  if (!never && !busy && notify(step, record, true)) step.state.putBudget(step.org, record);
  return {
    outcome: "denied",
    budget: request.name,
    limit: request.limit,
    used,
    window: request.window,
    resetMs: record.end - step.now,
    never,
    busy,
    notices: step.notices,
  };
}

/** The record of the current window, or a fresh one that nobody has put into the state yet. */
function openBudget(step: Step, request: BudgetRequest): BudgetRecord {
  const { start, end } = windowAt(request, step.now);
  const key = `${identityOf(request)}|${start}`;
  return (
    step.state.budget(step.org, key, step.now) ?? {
      key,
      start,
      end,
      limit: request.limit,
      limitMax: request.limit,
      spent: 0,
      outstanding: 0,
      debt: 0,
      leases: 0,
      notified: 0,
      keepUntil: end + (end - start),
    }
  );
}

function settle(step: Step, command: Settle): ReportReply {
  const lease = step.state.lease(step.org, command.leaseId, step.now);
  if (lease === undefined) return report(step, "unknown_lease");
  expireIfDue(step, lease);
  if (command.sequence <= lease.sequence) return report(step, "stale", lease);
  if (command.spent.length !== lease.entries.length) return report(step, "invalid", lease);

  const wasOpen = lease.state === "open";
  // A dead lease that was charged whole stays so until its last report says what it really was.
  const chargedWhole = lease.state === "expired" && lease.onExpiry === "charge_all";
  const next = command.final ? "closed" : lease.state;
  const returns = command.final && (wasOpen || chargedWhole);
  const entries = lease.entries.map((entry, i): LeaseEntry => {
    const spent = Math.max(entry.spent, command.spent[i] ?? 0);
    return {
      ...entry,
      spent,
      charged: chargedWhole && !command.final ? Math.max(entry.granted, spent) : spent,
      returned: returns ? Math.max(0, entry.granted - spent) : entry.returned,
    };
  });
  if (!fits(step, lease, next, entries)) return report(step, "invalid", lease);

  if (!wasOpen) noteCorrections(step, lease, entries);
  lease.sequence = command.sequence;
  change(step, lease, next, entries);
  return report(step, wasOpen ? "applied" : "closed", lease);
}

function release(step: Step, command: Release): ReportReply {
  const lease = step.state.lease(step.org, command.leaseId, step.now);
  if (lease === undefined) return report(step, "unknown_lease");
  expireIfDue(step, lease);
  if (lease.state !== "open") return report(step, "closed", lease);
  change(step, lease, "released", lease.entries.map(returnRest));
  return report(step, "applied", lease);
}

function adjust(step: Step, command: Adjust): AdjustReply {
  const { state, org, now } = step;
  const { id, amount, budget } = command;
  const record = state.budget(org, budget, now);
  const known = state.lease(org, id, now);
  const answer = (status: AdjustReply["status"]): AdjustReply => ({
    status,
    spent: record?.spent ?? 0,
    notices: step.notices,
  });
  if (known !== undefined) {
    const [entry] = known.entries;
    if (known.entries.length !== 1 || entry?.budget !== budget || known.sequence !== LIMITS.amount)
      throw new WeirError("conflict", `id: ${id}: was used before, for something else`);
    return answer("repeated");
  }
  if (record === undefined) return answer("unknown_budget");
  const spent = record.spent + amount;
  if (spent < 0 || spent > LIMITS.amount - record.outstanding) return answer("invalid");

  const entry = {
    budget,
    granted: 0,
    spent: amount,
    charged: amount,
    returned: Math.max(0, -amount),
    remaining: 0,
  };
  const lease: LeaseRecord = {
    id,
    edge: command.by,
    subject: command.subject,
    ttlMs: 0,
    onExpiry: "charge_reported",
    windowEnd: record.end,
    state: "closed",
    sequence: LIMITS.amount,
    usableUntil: now,
    expiresAt: now,
    forgetAt: now + LIMITS.unsettledRetentionMs,
    entries: [entry],
  };
  record.spent = spent;
  record.debt += Math.max(0, amount);
  record.keepUntil = Math.max(record.keepUntil, lease.forgetAt);
  note(step, "adjusted", budget, lease, amount, command.reason);
  // What a refund brings back under a mark may cross it again, and is told again.
  if (amount < 0) record.notified = Math.min(record.notified, reached(record)) as BudgetRecord["notified"];
  notify(step, record, false);
  state.putBudget(org, record);
  state.putLease(org, lease, "ended");
  return answer("applied");
}

function returnRest(entry: LeaseEntry): LeaseEntry {
  return { ...entry, returned: Math.max(0, entry.granted - entry.charged) };
}

function chargeRest(entry: LeaseEntry): LeaseEntry {
  return { ...entry, charged: Math.max(entry.granted, entry.charged) };
}

function report(step: Step, status: ReportReply["status"], lease?: LeaseRecord): ReportReply {
  return { status, usableMs: lease === undefined ? 0 : usableMs(step, lease), notices: step.notices };
}

function usableUntil(now: number, ttlMs: number, windowEnd: number): number {
  return Math.min(now + Math.floor(ttlMs / 2), windowEnd);
}

function usableMs(step: Step, lease: LeaseRecord): number {
  return lease.state === "open" ? Math.max(0, lease.usableUntil - step.now) : 0;
}

/** Whether every sum stays exact after the change. */
function fits(step: Step, lease: LeaseRecord, next: LeaseRecord["state"], entries: LeaseEntry[]): boolean {
  return entries.every((entry, i) => {
    const record = budgetOf(step, entry);
    const was = contribution(lease.state, lease.entries[i] as LeaseEntry);
    const will = contribution(next, entry);
    const used = record.spent - was.spent + (record.outstanding - was.outstanding);
    return used + will.spent + will.outstanding <= LIMITS.amount;
  });
}

/** Gives a lease its new state and entries and moves its budgets along. The only place where budgets are charged. */
function change(step: Step, lease: LeaseRecord, next: LeaseRecord["state"], entries: LeaseEntry[]): void {
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
    notify(step, record, false);
    state.putBudget(org, record);
  });
  lease.entries = entries;
  lease.state = next;
  if (next === "open") {
    lease.expiresAt = now + lease.ttlMs;
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
function sweep(step: Step): number {
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

function expireIfDue(step: Step, lease: LeaseRecord): void {
  if (lease.state !== "open" || lease.expiresAt > step.now) return;
  const all = lease.onExpiry === "charge_all";
  const entries = lease.entries.map(all ? chargeRest : returnRest);
  for (const entry of entries)
    if (entry.charged > entry.spent)
      note(step, "charged_unseen", entry.budget, lease, entry.charged - entry.spent);
  change(step, lease, "expired", entries);
}

function noteCorrections(step: Step, lease: LeaseRecord, entries: LeaseEntry[]): void {
  entries.forEach((entry, i) => {
    const delta = entry.charged - (lease.entries[i] as LeaseEntry).charged;
    if (delta !== 0) note(step, "corrected", entry.budget, lease, delta);
  });
}

function note(
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
function reached(record: BudgetRecord): 0 | 80 | 100 {
  if (record.spent >= record.limit) return 100;
  // Without a product that could pass 2^53: spent ≥ 80 % means at most a fifth is left.
  return record.limit - record.spent <= Math.floor(record.limit / 5) ? 80 : 0;
}

/** Tells once per window that 80 % or all of a budget is spent. True if it did. */
function notify(step: Step, record: BudgetRecord, exhausted: boolean): boolean {
  if (record.limit === 0) return false;
  const percent = exhausted ? 100 : reached(record);
  if (percent <= record.notified) return false;
  record.notified = percent;
  const { name, subject } = describeKey(record.key);
  step.notices.push({ budget: name, subject, percent: percent as 80 | 100 });
  note(step, "notice", record.key, null, percent);
  return true;
}
