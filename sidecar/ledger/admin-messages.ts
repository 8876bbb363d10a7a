/** Budgets, leases and lines of the journal as the admin service sends them: proto/weir/v1/ledger_admin.proto ↔ types.ts. */
import type { MessageShape } from "@bufbuild/protobuf";
import type {
  BudgetStateSchema,
  JournalLineSchema,
  LeaseStateSchema,
} from "../gen/weir/v1/ledger_admin_pb.ts";
import type { BudgetRecord, JournalEntry, LeaseRecord } from "./types.ts";

/** What tells the sidecar's refusal of a token from that of whatever else listens at an address, such as the proxy. */
export const TOKEN_EXPECTED = "expected the admin token";

export function budgetState(record: BudgetRecord) {
  const { key, leases, notified } = record;
  return {
    key,
    leases,
    notified,
    startMs: BigInt(record.start),
    endMs: BigInt(record.end),
    limit: BigInt(record.limit),
    limitMax: BigInt(record.limitMax),
    spent: BigInt(record.spent),
    outstanding: BigInt(record.outstanding),
    debt: BigInt(record.debt),
    keepUntilMs: BigInt(record.keepUntil),
  };
}

export function leaseState(lease: LeaseRecord) {
  const { id, edge, subject, ttlMs, onExpiry } = lease;
  return {
    id,
    edge,
    subject,
    ttlMs,
    onExpiry,
    sequence: BigInt(lease.sequence),
    windowEndMs: BigInt(lease.windowEnd),
    usableUntilMs: BigInt(lease.usableUntil),
    expiresAtMs: BigInt(lease.expiresAt),
    entries: lease.entries.map((entry) => ({
      budget: entry.budget,
      granted: BigInt(entry.granted),
      spent: BigInt(entry.spent),
      charged: BigInt(entry.charged),
      returned: BigInt(entry.returned),
      remaining: BigInt(entry.remaining),
    })),
  };
}

export function journalLine({ at, kind, budget, leaseId, edge, amount, reason }: JournalEntry) {
  return { atMs: BigInt(at), kind, budget, leaseId, edge, amount: BigInt(amount), reason };
}

export function budgetRecord(state: MessageShape<typeof BudgetStateSchema>): BudgetRecord {
  return {
    key: state.key,
    start: Number(state.startMs),
    end: Number(state.endMs),
    limit: Number(state.limit),
    limitMax: Number(state.limitMax),
    spent: Number(state.spent),
    outstanding: Number(state.outstanding),
    debt: Number(state.debt),
    leases: state.leases,
    keepUntil: Number(state.keepUntilMs),
    notified: state.notified as BudgetRecord["notified"],
  };
}

export function leaseRecord(state: MessageShape<typeof LeaseStateSchema>): LeaseRecord {
  const { id, edge, subject, ttlMs } = state;
  return {
    id,
    edge,
    subject,
    ttlMs,
    state: "open",
    sequence: Number(state.sequence),
    onExpiry: state.onExpiry as LeaseRecord["onExpiry"],
    windowEnd: Number(state.windowEndMs),
    usableUntil: Number(state.usableUntilMs),
    expiresAt: Number(state.expiresAtMs),
    forgetAt: Number.POSITIVE_INFINITY,
    entries: state.entries.map((entry) => ({
      budget: entry.budget,
      granted: Number(entry.granted),
      spent: Number(entry.spent),
      charged: Number(entry.charged),
      returned: Number(entry.returned),
      remaining: Number(entry.remaining),
    })),
  };
}

export function journalEntry(line: MessageShape<typeof JournalLineSchema>): JournalEntry {
  const { budget, leaseId, edge, reason } = line;
  const kind = line.kind as JournalEntry["kind"];
  return { at: Number(line.atMs), kind, budget, leaseId, edge, amount: Number(line.amount), reason };
}
