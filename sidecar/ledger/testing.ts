/** For tests and benchmarks: commands that only say what matters. */
import { randomUUID } from "node:crypto";
import type { WeirError } from "../errors.ts";
import type { Acquire, BudgetRequest } from "./types.ts";

export function budget(subject: string, limit: number, more: Partial<BudgetRequest> = {}): BudgetRequest {
  return {
    name: "monthly",
    subject,
    meter: "tokens",
    limit,
    window: "month",
    timeZone: "UTC",
    billingDay: 1,
    modelClass: "",
    need: 1,
    want: 1,
    ...more,
  };
}

export function acquire(budgets: BudgetRequest[], more: Partial<Acquire> = {}): Acquire {
  return {
    kind: "acquire",
    leaseId: randomUUID(),
    edge: "edge-1",
    subject: budgets.at(-1)?.subject ?? "",
    budgets,
    ttlMs: 60_000,
    onExpiry: "charge_reported",
    ...more,
  };
}

/** For assert.rejects: a WeirError of this code. */
export const isRefused = (code: string, pattern: RegExp) => (error: WeirError) =>
  error.code === code && pattern.test(error.message);
