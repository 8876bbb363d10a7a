/**
 * What people do with a ledger. The command line works on these, whether they are the store itself or a running sidecar's
 * (remote-books.ts).
 */
import {
  type BudgetRecord,
  isWithin,
  type JournalEntry,
  type LeaseRecord,
  type Ledger,
  organisationOf,
  subjectOf,
} from "./types.ts";

/** The part of a ledger that people use. */
export interface Books extends Pick<Ledger, "organisations" | "budgets" | "adjust" | "close"> {
  /** All that is kept of a subject and of those below it; from a sidecar of one moment. */
  book(subject: string): Promise<Book>;
}

export interface Book {
  /** The ledger's time, in ms since the epoch. */
  readonly now: number;
  readonly budgets: BudgetRecord[];
  readonly leases: LeaseRecord[];
  readonly journal: JournalEntry[];
}

/** The books of a store. */
export function booksOf(ledger: Ledger): Books {
  return {
    organisations: () => ledger.organisations(),
    budgets: (subject) => ledger.budgets(subject),
    book: (subject) => bookOf(ledger, subject),
    adjust: (command) => ledger.adjust(command),
    close: () => ledger.close(),
  };
}

/** All that is kept of a subject and of those below it. */
export async function bookOf(ledger: Ledger, subject: string): Promise<Book> {
  const organisation = organisationOf(subject);
  const concerns = (key: string): boolean => isWithin(subjectOf(key), subject);
  const budgets = await ledger.budgets(subject);
  const leases = await ledger.leases(organisation);
  const journal = await ledger.journal(organisation);
  return {
    now: ledger.now(),
    budgets,
    leases: leases.filter(({ entries }) => entries.some(({ budget }) => concerns(budget))),
    journal: journal.filter(({ budget }) => concerns(budget)),
  };
}
