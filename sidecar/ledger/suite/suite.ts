// What the tests of a ledger work with: one that a store has opened, and organisations that no other test has.
import { randomUUID } from "node:crypto";
import type { Acquire, Ledger, ReportReply } from "../types.ts";

export interface OpenedLedger {
  readonly ledger: Ledger;
  /** Another one on the same data, after the first was closed. Absent where nothing is kept. */
  readonly reopen?: () => Promise<Ledger>;
  readonly stop: () => Promise<void>;
}

export class Suite {
  #opened: OpenedLedger | undefined;
  #ledger: Ledger | undefined;
  #count = 0;

  async open(open: () => Promise<OpenedLedger>): Promise<void> {
    this.#opened = await open();
    this.#ledger = this.#opened.ledger;
  }

  async stop(): Promise<void> {
    await this.#opened?.stop();
  }

  get ledger(): Ledger {
    if (this.#ledger === undefined) throw new Error("the ledger is not open");
    return this.#ledger;
  }

  /** Whether anything outlives the process. */
  get keeps(): boolean {
    return this.#opened?.reopen !== undefined;
  }

  async reopen(): Promise<void> {
    await this.ledger.close();
    this.#ledger = await this.#opened?.reopen?.();
  }

  /** Every test has an organisation of its own. */
  organisation(): string {
    return `org-${++this.#count}-${randomUUID().slice(0, 8)}`;
  }

  settle(command: Acquire, sequence: number, spent: number[], final = false): Promise<ReportReply> {
    const { leaseId, subject } = command;
    return this.ledger.settle({ kind: "settle", leaseId, subject, sequence, spent, final });
  }

  release({ leaseId, subject }: Acquire): Promise<ReportReply> {
    return this.ledger.release({ kind: "release", leaseId, subject });
  }
}
