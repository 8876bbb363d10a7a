/**
 * Whether a request that passed was charged: the caller's budgets in the ledger's books before and after. Proxies report
 * with every ledger.sync, so it takes a moment.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Books } from "../ledger/admin-books.ts";
import { describeKey, isWithin, organisationOf, subjectOf } from "../ledger/types.ts";
import { type Finding, fail, ok } from "./finding.ts";

const WAIT_MS = 10_000;
const LOOK_MS = 250;

/** What each budget that counts the subject, its team or its organisation has spent. */
export async function spentBy(books: Pick<Books, "budgets">, subject: string): Promise<Map<string, number>> {
  const budgets = await books.budgets(organisationOf(subject));
  const mine = budgets.filter(({ key }) => {
    return isWithin(subject, subjectOf(key));
  });
  return new Map(mine.map(({ key, spent }) => [key, spent]));
}

export async function debitFinding(
  books: Pick<Books, "budgets">,
  subject: string,
  before: ReadonlyMap<string, number>,
  waitMs = WAIT_MS,
): Promise<Finding> {
  const check = "budget.debited";
  for (const end = Date.now() + waitMs; ; await sleep(LOOK_MS)) {
    const after = await spentBy(books, subject);
    const [moved] = [...after].filter(([key, spent]) => spent > (before.get(key) ?? 0));
    if (moved) {
      const { name, meter } = describeKey(moved[0]);
      const by = moved[1] - (before.get(moved[0]) ?? 0);
      return ok(check, `the request was charged to ${subject}: ${name} +${by} ${meter}`);
    }
    if (Date.now() > end)
      return fail(
        check,
        `no budget of ${subject} was charged within ${waitMs / 1_000} s`,
        "is this sidecar (or its Redis) the one that the proxy asks? Do the tier's budgets cover this model?",
      );
  }
}
