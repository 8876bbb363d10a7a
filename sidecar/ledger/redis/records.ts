/** Hashes and journal lines of Redis, as common.lua writes them, back into the ledger's records. For people and tests. */
import type { BudgetRecord, JournalEntry, LeaseEntry, LeaseRecord } from "../types.ts";

type Hash = Record<string, string>;

/** Undefined for a hash that is gone. */
export function parseBudget(key: string, hash: Hash): BudgetRecord | undefined {
  if (hash.end === undefined) return undefined;
  const number = (field: string): number => Number(hash[field]);
  return {
    key,
    start: number("start"),
    end: number("end"),
    limit: number("limit"),
    limitMax: number("max"),
    spent: number("spent"),
    outstanding: number("out"),
    debt: number("debt"),
    leases: number("leases"),
    notified: number("told") as 0 | 80 | 100,
    keepUntil: number("keep"),
  };
}

export function parseLease(id: string, hash: Hash): LeaseRecord | undefined {
  if (hash.state === undefined) return undefined;
  const number = (field: string): number => Number(hash[field]);
  const entries = Array.from({ length: number("n") }, (_, index): LeaseEntry => {
    const i = index + 1;
    return {
      budget: hash[`b${i}`] ?? "",
      granted: number(`g${i}`),
      spent: number(`s${i}`),
      charged: number(`c${i}`),
      returned: number(`r${i}`),
      remaining: number(`m${i}`),
    };
  });
  return {
    id,
    edge: hash.edge ?? "",
    subject: hash.subject ?? "",
    ttlMs: number("ttl"),
    onExpiry: hash.policy === "charge_all" ? "charge_all" : "charge_reported",
    windowEnd: number("wend"),
    state: hash.state as LeaseRecord["state"],
    sequence: number("seq"),
    usableUntil: number("usable"),
    expiresAt: number("expires"),
    forgetAt: hash.state === "open" ? Number.POSITIVE_INFINITY : number("forget"),
    entries,
  };
}

export function parseJournalEntry(line: string): JournalEntry {
  const { at, kind, budget, leaseId, edge, amount } = JSON.parse(line) as Record<string, string>;
  return {
    at: Number(at),
    kind: kind as JournalEntry["kind"],
    budget: budget ?? "",
    leaseId: leaseId ?? "",
    edge: edge ?? "",
    amount: Number(amount),
  };
}
