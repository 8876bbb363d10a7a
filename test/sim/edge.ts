/**
 * A model edge: the simplest client that is still right. It leases, reserves from its leases, settles with what was
 * really spent, repeats what was not answered, and ends every lease with a final report. When the ledger is silent it serves
 * from an allowance: a lease of nothing, which it opens when it can and reports like any other. Synchronous: `tick` and
 * `receive` return messages, the world delivers them. It knows time only by a clock of its own, which may be wrong.
 */
import type {
  Acquire,
  AcquireReply,
  BudgetRequest,
  Command,
  ReportReply,
  Settle,
} from "../../sidecar/ledger/types.ts";
import type { Random } from "./random.ts";

export interface EdgeLease {
  readonly command: Acquire;
  /** Of what was let through in an outage: the most it may come to, per budget. Else undefined. */
  readonly allowance: number[] | undefined;
  /** "ended": the ledger has acknowledged the final report, or denied. */
  state: "asked" | "held" | "ended";
  granted: number[];
  spent: number[];
  /** Requests in flight: what each reserved, per budget. */
  reserved: number[][];
  usableUntil: number;
  sequence: number;
  /** The last report that was sent and not yet acknowledged. */
  pending: Settle | undefined;
  sentAt: number;
  /** What the ledger said the first time, for comparison with later answers. */
  answer: string | undefined;
}

export interface EdgeBehaviour {
  readonly rate: number;
  readonly offset: number;
  readonly overspends: boolean;
  /** The share of every limit that may be used in one outage; 0 for none. */
  readonly allowance: number;
}

const RESEND_MS = 3_000;
const REPORT_MS = 4_000;
const SILENT_MS = 1_500;

export class ModelEdge {
  readonly id: string;
  readonly leases = new Map<string, EdgeLease>();
  alive = true;
  /** No new requests; finish what is under way. */
  draining = false;
  readonly #random: Random;
  readonly #behaviour: EdgeBehaviour;
  #count = 0;
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(id: string, random: Random, behaviour: EdgeBehaviour) {
    this.id = id;
    this.#random = random;
    this.#behaviour = behaviour;
  }

  /** The edge's own clock. */
  clock(now: number): number {
    return Math.floor(now * this.#behaviour.rate) + this.#behaviour.offset;
  }

  tick(now: number, makeRequest: () => Omit<Acquire, "leaseId" | "edge" | "kind">): Command[] {
    if (!this.alive) return [];
    const local = this.clock(now);
    const out: Command[] = [];
    if (!this.draining && this.#random.chance(0.6)) out.push(...this.#request(local, makeRequest()));
    for (const lease of this.leases.values()) {
      this.#finishSome(lease);
      out.push(...this.#maintain(lease, local));
    }
    return out;
  }

  #request(local: number, request: Omit<Acquire, "leaseId" | "edge" | "kind">): Command[] {
    const needs = request.budgets.map(({ need }) => need);
    for (const lease of this.leases.values())
      if (lease.state === "held" && local < lease.usableUntil && fitsInto(lease, needs, request.budgets)) {
        lease.reserved.push(needs);
        return [];
      }
    if (this.#silent(local)) return this.#fromAllowance(local, request, needs);
    return [this.#ask(local, request, undefined).command];
  }

  /** Whether something was asked a while ago and nothing at all was heard since. */
  #silent(local: number): boolean {
    return [...this.leases.values()].some(
      ({ state, sentAt }) => state === "asked" && sentAt >= this.#heardAt && local - sentAt >= SILENT_MS,
    );
  }

  #fromAllowance(
    local: number,
    request: Omit<Acquire, "leaseId" | "edge" | "kind">,
    needs: number[],
  ): Command[] {
    const open = [...this.leases.values()].find(
      (lease) =>
        lease.allowance !== undefined &&
        lease.state !== "ended" &&
        lease.pending?.final !== true &&
        sameBudgets(lease, request.budgets),
    );
    const allowance = request.budgets.map(({ limit }) => Math.floor(limit * this.#behaviour.allowance));
    if (open === undefined && needs.some((need, i) => need > (allowance[i] ?? 0))) return [];
    const lease = open ?? this.#ask(local, withoutNeed(request), allowance);
    if (!fitsInto(lease, needs, request.budgets)) return [];
    lease.reserved.push(needs);
    return open === undefined ? [lease.command] : [];
  }

  #ask(
    local: number,
    request: Omit<Acquire, "leaseId" | "edge" | "kind">,
    allowance: number[] | undefined,
  ): EdgeLease {
    const command: Acquire = {
      kind: "acquire",
      leaseId: `${this.id}-${++this.#count}`,
      edge: this.id,
      ...request,
    };
    const lease: EdgeLease = {
      command,
      allowance,
      state: "asked",
      granted: [],
      spent: command.budgets.map(() => 0),
      reserved: [],
      usableUntil: 0,
      sequence: 0,
      pending: undefined,
      sentAt: local,
      answer: undefined,
    };
    this.leases.set(command.leaseId, lease);
    return lease;
  }

  #finishSome(lease: EdgeLease): void {
    lease.reserved = lease.reserved.filter((amounts) => {
      if (!this.draining && this.#random.chance(0.5)) return true;
      const over = this.#behaviour.overspends && this.#random.chance(0.2) ? 2 : 1;
      const part = this.#random.next();
      lease.spent = lease.spent.map((spent, i) => spent + Math.floor((amounts[i] ?? 0) * part * over));
      return false;
    });
  }

  #maintain(lease: EdgeLease, local: number): Command[] {
    if (lease.state === "ended") return [];
    const waited = local - lease.sentAt;
    if (lease.state === "asked") {
      if (waited < RESEND_MS) return [];
      lease.sentAt = local;
      return [lease.command];
    }
    const done = lease.reserved.length === 0 && (local >= lease.usableUntil || this.draining);
    // Usually a report waits for the acknowledgement of the last one; sometimes the next overtakes it.
    if (lease.pending !== undefined && !(waited >= REPORT_MS && this.#random.chance(0.3))) {
      if (waited < RESEND_MS) return [];
      lease.sentAt = local;
      return [lease.pending];
    }
    if (lease.pending?.final === true || (!done && waited < REPORT_MS)) return [];
    lease.pending = {
      kind: "settle",
      leaseId: lease.command.leaseId,
      subject: lease.command.subject,
      sequence: ++lease.sequence,
      spent: [...lease.spent],
      final: done,
    };
    lease.sentAt = local;
    return [lease.pending];
  }

  /** Throws if the ledger's answer contradicts an earlier one. */
  receiveAcquire(now: number, command: Acquire, reply: AcquireReply): void {
    const lease = this.leases.get(command.leaseId);
    if (!this.alive || lease === undefined) return;
    this.#heardAt = this.clock(now);
    if (reply.outcome === "denied") {
      if (lease.allowance !== undefined) throw new Error(`${command.leaseId}: a lease of nothing was denied`);
      if (lease.state === "asked") lease.state = "ended";
      return;
    }
    const answer = JSON.stringify([reply.granted, reply.remaining]);
    if (lease.answer !== undefined) {
      if (lease.answer !== answer)
        throw new Error(`${command.leaseId}: answered ${answer} after ${lease.answer}`);
      return;
    }
    lease.answer = answer;
    lease.granted = [...reply.granted];
    const ownMs = lease.allowance === undefined ? reply.usableMs : 0;
    lease.usableUntil = this.clock(now) + ownMs;
    // Where a denial had overtaken this grant, its request is gone; what was granted must be settled all the same.
    const waiting = lease.state === "asked" && ownMs > 0;
    if (waiting) lease.reserved.push(command.budgets.map(({ need }) => need));
    lease.state = "held";
  }

  receiveReport(now: number, report: Settle, reply: ReportReply): void {
    const lease = this.leases.get(report.leaseId);
    if (!this.alive || lease === undefined || lease.state === "ended") return;
    this.#heardAt = this.clock(now);
    // Once the final report is sent it may have arrived long ago and be forgotten: then all is said.
    if (reply.status === "unknown_lease" && lease.pending?.final !== true)
      throw new Error(`${report.leaseId}: forgotten while its edge holds it`);
    if (reply.status === "invalid") throw new Error(`${report.leaseId}: refused ${JSON.stringify(report)}`);
    if (reply.status === "closed") lease.usableUntil = 0;
    // A lease whose final report is on its way is not used again, whatever an older answer allows.
    const renews = lease.allowance === undefined && lease.pending?.final !== true;
    if (reply.status === "applied" && renews && lease.usableUntil > 0)
      lease.usableUntil = this.clock(now) + reply.usableMs;
    if (report.sequence !== lease.pending?.sequence) return;
    lease.pending = undefined;
    if (report.final) lease.state = "ended";
  }
}

function sameBudgets(lease: EdgeLease, budgets: readonly BudgetRequest[]): boolean {
  const own = lease.command.budgets;
  return (
    own.length === budgets.length &&
    own.every(({ name, subject }, i) => name === budgets[i]?.name && subject === budgets[i]?.subject)
  );
}

function withoutNeed<T extends { readonly budgets: readonly BudgetRequest[] }>(request: T): T {
  return { ...request, budgets: request.budgets.map((budget) => ({ ...budget, need: 0, want: 0 })) };
}

function fitsInto(lease: EdgeLease, needs: number[], budgets: readonly BudgetRequest[]): boolean {
  if (!sameBudgets(lease, budgets)) return false;
  const room = lease.allowance ?? lease.granted;
  return needs.every((need, i) => {
    const reserved = lease.reserved.reduce((sum, amounts) => sum + (amounts[i] ?? 0), 0);
    return need <= (room[i] ?? 0) - (lease.spent[i] ?? 0) - reserved;
  });
}
