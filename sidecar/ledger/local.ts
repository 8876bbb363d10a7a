/**
 * The pure machine behind the Ledger interface, in this process. With nothing else it is the in-memory ledger of tests;
 * with a `Keeper` it is the embedded one (embedded.ts).
 *
 * Every command is applied at once, in order of arrival, and its reply waits until all that was applied up to then is
 * kept: also a reply that changed nothing, because it may rest on a change that is not kept yet. Commands that arrive
 * while the keeper writes share its next write (group commit). If the keeper fails, memory is ahead of the disk:
 * the ledger then refuses everything until it is opened again.
 */
import { systemReason, WeirError } from "../errors.ts";
import { apply } from "./machine.ts";
import { type Change, State } from "./state.ts";
import {
  type Acquire,
  type AcquireReply,
  type Adjust,
  type AdjustReply,
  type BudgetRecord,
  type Command,
  isWithin,
  type JournalEntry,
  type LeaseRecord,
  type Ledger,
  LIMITS,
  type Notice,
  noticeOf,
  organisationOf,
  type Release,
  type Reply,
  type ReportReply,
  type Settle,
  type SweepReply,
  subjectOf,
} from "./types.ts";
import { validate } from "./validate.ts";

/** Keeps changes durably. Called with one batch at a time, in order. */
export interface Keeper {
  keep(changes: readonly Change[], state: State): Promise<void>;
  close(): Promise<void>;
}

export interface LocalOptions {
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
  readonly state?: State;
  readonly keeper?: Keeper;
}

export class LocalLedger implements Ledger {
  readonly #clock: () => number;
  readonly #state: State;
  readonly #keeper: Keeper | undefined;
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: WeirError | undefined;

  constructor(options: LocalOptions = {}) {
    this.#clock = options.clock ?? Date.now;
    this.#state = options.state ?? new State();
    this.#keeper = options.keeper;
  }

  acquire(command: Acquire): Promise<AcquireReply> {
    return this.#apply(command) as Promise<AcquireReply>;
  }

  settle(command: Settle): Promise<ReportReply> {
    return this.#apply(command) as Promise<ReportReply>;
  }

  release(command: Release): Promise<ReportReply> {
    return this.#apply(command) as Promise<ReportReply>;
  }

  sweep(organisation: string): Promise<SweepReply> {
    return this.#apply({ kind: "sweep", organisation }) as Promise<SweepReply>;
  }

  adjust(command: Adjust): Promise<AdjustReply> {
    return this.#apply(command) as Promise<AdjustReply>;
  }

  async organisations(): Promise<string[]> {
    return [...this.#state.organisations.keys()].sort();
  }

  async budgets(subject: string): Promise<BudgetRecord[]> {
    const org = this.#state.organisations.get(organisationOf(subject));
    if (org === undefined) return [];
    const now = this.#clock();
    return [...org.budgets.keys()]
      .filter((key) => isWithin(subjectOf(key), subject))
      .sort()
      .flatMap((key) => this.#state.budget(org, key, now) ?? [])
      .map((record) => ({ ...record }));
  }

  async leases(organisation: string): Promise<LeaseRecord[]> {
    const leases = this.#state.organisations.get(organisation)?.leases ?? new Map<string, LeaseRecord>();
    return [...leases.values()]
      .filter((lease) => lease.state === "open")
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map((lease) => ({ ...lease }));
  }

  async journal(organisation: string): Promise<JournalEntry[]> {
    return [...(this.#state.organisations.get(organisation)?.journal ?? [])];
  }

  async untold(organisation: string): Promise<Notice[]> {
    const since = this.#clock() - LIMITS.untoldRetentionMs;
    const ids = this.#state.organisations.get(organisation)?.untold ?? [];
    return [...ids]
      .sort()
      .map(noticeOf)
      .filter(({ at }) => at > since);
  }

  async told(organisation: string, ids: readonly string[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const org = this.#state.organisations.get(organisation);
    if (org !== undefined) this.#state.dropNotices(org, ids);
    await this.#kept();
  }

  now(): number {
    return this.#clock();
  }

  async ready(): Promise<number> {
    return this.#failure === undefined ? 1 : 0;
  }

  async close(): Promise<void> {
    await this.#kept().catch(() => undefined);
    this.#failure ??= new WeirError("unavailable", "the ledger is closed");
    await this.#keeper?.close();
  }

  async #apply(command: Command): Promise<Reply> {
    if (this.#failure !== undefined) throw this.#failure;
    validate(command);
    let reply: Reply | undefined;
    let refusal: unknown;
    try {
      reply = apply(this.#state, command, this.#clock());
    } catch (thrown) {
      refusal = thrown;
    }
    await this.#kept();
    if (reply === undefined) throw WeirError.from(refusal);
    return reply;
  }

  /** Resolves when everything applied before this call is kept. */
  #kept(): Promise<void> {
    if (this.#keeper === undefined) {
      this.#state.takeChanges();
      return Promise.resolve();
    }
    if (this.#writing === undefined) {
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
      });
      return this.#writing;
    }
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#kept();
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    // Everything that arrives in this turn of the event loop joins the batch.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#failure !== undefined) throw this.#failure;
    const changes = this.#state.takeChanges();
    if (changes.length === 0) return;
    try {
      await this.#keeper?.keep(changes, this.#state);
    } catch (thrown) {
      this.#failure = new WeirError(
        "unavailable",
        `the ledger cannot write: ${systemReason(thrown)}; restart it`,
        thrown,
      );
      throw this.#failure;
    }
  }
}
