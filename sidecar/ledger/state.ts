/**
 * The state of the pure ledger: per organisation its budgets, leases and journal, plus two indexes that are rebuilt from
 * them. Everything that a command changes is noted in `changes`, so that a store persists just that.
 *
 * A record past its time is invisible to the machine at once; its memory goes later, a few records per command.
 * Bounded by: budgets × windows kept, leases not yet forgotten, LIMITS.journal per organisation.
 */
import { DeadlineHeap } from "./heap.ts";
import { type BudgetRecord, type JournalEntry, type LeaseRecord, LIMITS, noticeOf } from "./types.ts";

/** One thing to write or to remove, in the store's terms. */
export type Change =
  | { readonly table: "budget" | "lease" | "untold"; readonly organisation: string; readonly id: string }
  | { readonly table: "journal"; readonly organisation: string; readonly id: number };

export class OrganisationState {
  readonly name: string;
  readonly budgets = new Map<string, BudgetRecord>();
  readonly leases = new Map<string, LeaseRecord>();
  readonly journal: JournalEntry[] = [];
  /** Number of the first entry of `journal` that is still kept. */
  journalStart = 0;
  /** Ids of notices that nobody has told. */
  readonly untold = new Set<string>();
  /**
   * Open leases by expiry. An entry may be early, after a report extended the lease: then it is put back. After the clock
   * has gone back one may be late as well, and its lease has another.
   */
  readonly expiries = new DeadlineHeap();
  /** When to forget ended leases ("l" + id) and idle budgets ("b" + key); may be early as well. */
  readonly forgets = new DeadlineHeap();

  constructor(name: string) {
    this.name = name;
  }
}

const FORGETS_PER_COMMAND = 32;

export class State {
  readonly organisations = new Map<string, OrganisationState>();
  /** What commands changed since `takeChanges`. */
  #changes = new Map<string, Change>();

  organisation(name: string): OrganisationState {
    let found = this.organisations.get(name);
    if (found === undefined) {
      found = new OrganisationState(name);
      this.organisations.set(name, found);
    }
    return found;
  }

  takeChanges(): Change[] {
    const taken = [...this.#changes.values()];
    this.#changes = new Map();
    return taken;
  }

  budget(org: OrganisationState, key: string, now: number): BudgetRecord | undefined {
    const found = org.budgets.get(key);
    return found !== undefined && found.leases === 0 && found.keepUntil <= now ? undefined : found;
  }

  lease(org: OrganisationState, id: string, now: number): LeaseRecord | undefined {
    const found = org.leases.get(id);
    return found !== undefined && found.forgetAt <= now ? undefined : found;
  }

  putBudget(org: OrganisationState, record: BudgetRecord): void {
    if (!org.budgets.has(record.key)) org.forgets.push({ at: record.keepUntil, id: `b${record.key}` });
    org.budgets.set(record.key, record);
    this.#changed("budget", org.name, record.key);
  }

  putLease(org: OrganisationState, record: LeaseRecord, event: "opened" | "changed" | "ended"): void {
    org.leases.set(record.id, record);
    if (event === "opened") org.expiries.push({ at: record.expiresAt, id: record.id });
    if (event === "ended") org.forgets.push({ at: record.forgetAt, id: `l${record.id}` });
    this.#changed("lease", org.name, record.id);
  }

  append(org: OrganisationState, entry: JournalEntry): void {
    org.journal.push(entry);
    this.#journalChanged(org, org.journalStart + org.journal.length - 1);
    while (org.journal.length > LIMITS.journal) {
      org.journal.shift();
      this.#journalChanged(org, org.journalStart++);
    }
  }

  journalEntry(organisation: string, id: number): JournalEntry | undefined {
    const org = this.organisations.get(organisation);
    return org?.journal[id - org.journalStart];
  }

  /** Keeps a notice until it is told; the oldest make room, and those that are too old to matter. */
  keepNotice(org: OrganisationState, id: string, now: number): void {
    org.untold.add(id);
    this.#changed("untold", org.name, id);
    const ids = [...org.untold].sort();
    const old = ids.filter((one) => noticeOf(one).at <= now - LIMITS.untoldRetentionMs);
    this.dropNotices(org, [...old, ...ids.slice(0, Math.max(0, ids.length - LIMITS.untold))]);
  }

  dropNotices(org: OrganisationState, ids: readonly string[]): void {
    for (const id of ids) if (org.untold.delete(id)) this.#changed("untold", org.name, id);
  }

  /** Frees records past their time, a bounded number of them. Nobody can see the difference. */
  forget(org: OrganisationState, now: number): void {
    for (let i = 0; i < FORGETS_PER_COMMAND; i++) {
      const due = org.forgets.peek();
      if (due === undefined || due.at > now) return;
      org.forgets.pop();
      const id = due.id.slice(1);
      if (due.id.startsWith("l")) this.#forgetLease(org, id, now);
      else this.#forgetBudget(org, id, now);
    }
  }

  #forgetLease(org: OrganisationState, id: string, now: number): void {
    // The id may be in use again by now, for a lease that is open or ended later.
    if (!org.leases.has(id) || this.lease(org, id, now) !== undefined) return;
    org.leases.delete(id);
    this.#changed("lease", org.name, id);
  }

  #forgetBudget(org: OrganisationState, key: string, now: number): void {
    const record = org.budgets.get(key);
    if (record === undefined) return;
    if (this.budget(org, key, now) === undefined) {
      org.budgets.delete(key);
      this.#changed("budget", org.name, key);
    } else {
      org.forgets.push({ at: Math.max(record.keepUntil, now + LIMITS.closedRetentionMs), id: `b${key}` });
    }
  }

  /** Puts a record back that a store had kept; for recovery only. */
  restore(organisation: string, record: BudgetRecord | LeaseRecord): void {
    const org = this.organisation(organisation);
    if ("key" in record) {
      org.budgets.set(record.key, record);
      org.forgets.push({ at: record.keepUntil, id: `b${record.key}` });
    } else {
      org.leases.set(record.id, record);
      if (record.state === "open") org.expiries.push({ at: record.expiresAt, id: record.id });
      else org.forgets.push({ at: record.forgetAt, id: `l${record.id}` });
    }
  }

  /** In the order of their numbers; for recovery only. */
  restoreJournal(organisation: string, id: number, entry: JournalEntry): void {
    const org = this.organisation(organisation);
    if (org.journal.length === 0) org.journalStart = id;
    org.journal.push(entry);
  }

  /** For recovery only. */
  restoreNotice(organisation: string, id: string): void {
    this.organisation(organisation).untold.add(id);
  }

  #changed(table: "budget" | "lease" | "untold", organisation: string, id: string): void {
    this.#changes.set(`${table} ${organisation} ${id}`, { table, organisation, id });
  }

  #journalChanged(org: OrganisationState, id: number): void {
    this.#changes.set(`journal ${org.name} ${id}`, { table: "journal", organisation: org.name, id });
  }
}
