/**
 * The packed records of Redis (layouts: common.lua) back into the ledger's, for people and tests, and the packed numbers
 * of an Acquire. Numbers are big-endian, 8 bytes, signed; texts end with a zero byte.
 */
import type { BudgetRecord, JournalEntry, LeaseEntry, LeaseRecord } from "../types.ts";

const NUMBER_BYTES = 8;

/** Reads one record from its start to its end. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  number(): number {
    this.#at += NUMBER_BYTES;
    return Number(this.#bytes.readBigInt64BE(this.#at - NUMBER_BYTES));
  }

  text(): string {
    const start = this.#at;
    const end = this.#bytes.indexOf(0, start);
    if (end < 0) throw new RangeError("a text without an end");
    this.#at = end + 1;
    return this.#bytes.toString("latin1", start, end);
  }
}

/** Integers 0 … 2^53-1. */
export function packNumbers(numbers: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(numbers.length * NUMBER_BYTES);
  numbers.forEach((value, i) => {
    // Two halves: a BigInt of each would cost more than all the rest of an Acquire's arguments.
    bytes.writeUInt32BE(Math.floor(value / 2 ** 32), i * NUMBER_BYTES);
    bytes.writeUInt32BE(value % 2 ** 32, i * NUMBER_BYTES + 4);
  });
  return bytes;
}

export function parseBudget(key: string, bytes: Buffer): BudgetRecord {
  const read = new Reader(bytes);
  // Properties are made in the order of the record.
  return {
    key,
    start: read.number(),
    end: read.number(),
    limit: read.number(),
    limitMax: read.number(),
    spent: read.number(),
    outstanding: read.number(),
    debt: read.number(),
    leases: read.number(),
    notified: read.number() as BudgetRecord["notified"],
    keepUntil: read.number(),
  };
}

export function parseLease(id: string, bytes: Buffer): LeaseRecord {
  const read = new Reader(bytes);
  const count = read.number();
  const [ttlMs, windowEnd, sequence] = [read.number(), read.number(), read.number()];
  const [usableUntil, expiresAt, forgetAt] = [read.number(), read.number(), read.number()];
  const [state, policy, edge, subject] = [read.text(), read.text(), read.text(), read.text()];
  const entries = Array.from({ length: count }, (): LeaseEntry => {
    const [granted, spent, charged] = [read.number(), read.number(), read.number()];
    const [returned, remaining] = [read.number(), read.number()];
    return { budget: read.text(), granted, spent, charged, returned, remaining };
  });
  return {
    id,
    edge,
    subject,
    ttlMs,
    onExpiry: policy === "charge_all" ? "charge_all" : "charge_reported",
    windowEnd,
    state: state as LeaseRecord["state"],
    sequence,
    usableUntil,
    expiresAt,
    forgetAt: state === "open" ? Number.POSITIVE_INFINITY : forgetAt,
    entries,
  };
}

export function parseJournalEntry(line: string): JournalEntry {
  const { at, kind, budget, leaseId, edge, amount, reason } = JSON.parse(line) as Record<string, string>;
  return {
    at: Number(at),
    kind: kind as JournalEntry["kind"],
    budget: budget ?? "",
    leaseId: leaseId ?? "",
    edge: edge ?? "",
    amount: Number(amount),
    reason: reason ?? "",
  };
}
