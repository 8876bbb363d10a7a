/**
 * The ledger itself: `apply(state, command, now) → reply`. No I/O, no clock, no randomness; the Lua scripts under redis/
 * are the same transitions, and this is what they are compared with. How leases move their budgets along is in books.ts.
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
 * A need of 0 is always granted, with 0 where nothing is left: so an edge opens a lease for what it let through during an
 * outage and reports it, and the part above the grant, all of it, is debt.
 *
 * `usable` is half the time to live: an edge that hears nothing stops taking reservations while the ledger still holds
 * the other half for the requests in flight. Only an edge that stays silent for all of it is taken for dead.
 */
import { WeirError } from "../errors.ts";
import {
  againBelow,
  change,
  expireIfDue,
  fits,
  note,
  notify,
  returnRest,
  type Step,
  sweep,
  usableMs,
  usableUntil,
  usedOf,
  warningOf,
} from "./books.ts";
import { windowAt } from "./calendar.ts";
import type { State } from "./state.ts";
import {
  type Acquire,
  type AcquireReply,
  type Adjust,
  type AdjustReply,
  type BudgetRecord,
  type BudgetRequest,
  type Command,
  identityOf,
  type LeaseEntry,
  type LeaseRecord,
  LIMITS,
  organisationOf,
  type Release,
  type Reply,
  type ReportReply,
  type Settle,
} from "./types.ts";
import { usedBefore } from "./validate.ts";

/** The size of a slice of a budget of which `left` is free: what is granted, or -1 if not even `need` fits. */
export function slice(need: number, want: number, left: number): number {
  if (need > 0 && need > left) return -1;
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
      return { expired, untold: step.org.untold.size, notices: step.notices };
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
    if (granted < 0) return deny(step, command.leaseId, request, record, used);
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
      remaining: Math.max(0, request.limit - usedOf(record) - granted),
    })),
  };
  for (const { record, request, granted } of grants) {
    record.limit = request.limit;
    if (record.limit > record.limitMax) {
      record.limitMax = record.limit;
      againBelow(record);
    }
    record.outstanding += granted;
    record.leases++;
    notify(step, record, false, lease.id);
    step.state.putBudget(step.org, record);
  }
  step.state.putLease(step.org, lease, "opened");
  return grantedReply(step, lease);
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
    warning: warningOf(step, lease),
    notices: step.notices,
  };
}

function deny(
  step: Step,
  leaseId: string,
  request: BudgetRequest,
  record: BudgetRecord,
  used: number,
): AcquireReply {
  const never = request.need > request.limit;
  const busy = request.need <= request.limit - Math.max(0, record.spent);
  // A budget that turns requests away is used up, even if the last few tokens were too few for anyone; but not while
  // leases that may come back unspent are all that stands in the way.
  if (!never && !busy && notify(step, record, true, leaseId)) step.state.putBudget(step.org, record);
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
  const keepUntil = end + (end - start);
  const known = step.state.budget(step.org, key, step.now);
  if (known !== undefined) {
    // Another time zone or billing day may begin a window with the same instant and end it with another.
    if (known.end !== end) {
      known.end = end;
      known.keepUntil = Math.max(known.keepUntil, keepUntil);
      step.state.putBudget(step.org, known);
    }
    return known;
  }
  return {
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
    keepUntil,
  };
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
    if (entry === undefined || known.sequence !== LIMITS.amount) throw usedBefore(id);
    if (entry.budget !== budget || entry.charged !== amount)
      throw usedBefore(id, entry.budget, entry.charged);
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
  if (amount < 0) againBelow(record);
  notify(step, record, false, id);
  state.putBudget(org, record);
  state.putLease(org, lease, "ended");
  return answer("applied");
}

function report(step: Step, status: ReportReply["status"], lease?: LeaseRecord): ReportReply {
  if (lease === undefined) return { status, usableMs: 0, warning: null, notices: step.notices };
  return {
    status,
    usableMs: usableMs(step, lease),
    warning: warningOf(step, lease),
    notices: step.notices,
  };
}

function noteCorrections(step: Step, lease: LeaseRecord, entries: LeaseEntry[]): void {
  entries.forEach((entry, i) => {
    const delta = entry.charged - (lease.entries[i] as LeaseEntry).charged;
    if (delta !== 0) note(step, "corrected", entry.budget, lease, delta);
  });
}
