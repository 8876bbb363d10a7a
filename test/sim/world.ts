/**
 * One simulated history: a ledger, a few edges, a network and a disk, all driven by one seed and no real time.
 *
 *   edges ── messages: delayed, reordered, doubled, lost ──▶ ledger (pure machine)
 *     ▲                                                        │ changes
 *     └──── replies, held back until the change is synced ◀── disk: a crash forgets what was not synced
 *
 * Each seed switches its own faults on; one of them is an outage, in which the ledger hears nobody and edges serve from
 * their allowances. After the history the world heals: nothing is lost any more, dead edges stay
 * dead, the others finish; then every lease must have ended and every budget must hold exactly what was really spent.
 * Bounds: 100 steps, then at most 400 to drain; 1 to 4 edges.
 */
import assert from "node:assert/strict";
import { apply } from "../../sidecar/ledger/machine.ts";
import { type Change, State } from "../../sidecar/ledger/state.ts";
import {
  type Acquire,
  type AcquireReply,
  type Adjust,
  type BudgetRecord,
  type BudgetRequest,
  type Command,
  type Granted,
  type JournalEntry,
  type LeaseRecord,
  LIMITS,
  type OnExpiry,
  type Reply,
  type ReportReply,
} from "../../sidecar/ledger/types.ts";
import { validate } from "../../sidecar/ledger/validate.ts";
import type { Apply } from "./broken.ts";
import { type EdgeLease, ModelEdge } from "./edge.ts";
import { checkAcquire, checkNewGrant, checkState, type Shadow } from "./invariants.ts";
import { Random } from "./random.ts";

/** In the future of any real clock, so that lifetimes on a real Redis do not end during a replay. */
const EPOCH = Date.UTC(2035, 2, 25, 0, 30);
/** A message that a jump in time leaves lying for longer died with its connection; the ledger forgets no sooner. */
const CONNECTION_MS = 300_000;
/** How far the ledger's clock may go back: the shortest window, for so long a window that ended is kept. */
const BACK_MS = 3_600_000;
const STEPS = 100;
const DRAIN_STEPS = 400;
const BOOKS_EVERY = 20;

export interface Faults {
  readonly loss: number;
  readonly duplicate: number;
  readonly delayMsMax: number;
  readonly death: number;
  readonly crash: number;
  readonly sync: number;
  readonly skew: boolean;
  readonly overspend: boolean;
  readonly hugeNumbers: boolean;
  readonly jumps: number;
  /** The chance, per step, that the ledger's clock is put back, or right again. */
  readonly setsBack: number;
  readonly limitChanges: boolean;
  readonly releases: boolean;
  readonly adjusts: boolean;
  /** The chance, per step, that the ledger goes away. */
  readonly outages: number;
  /** The share of a limit that an edge may use while it is away. */
  readonly allowance: number;
}

export interface HistoryEntry {
  readonly now: number;
  readonly command: Command;
  readonly reply: Reply;
  /** Of a replayable history, behind every twentieth command. */
  readonly books?: Books;
}

/** What people read of an organisation. */
export interface Books {
  readonly budgets: BudgetRecord[];
  readonly leases: LeaseRecord[];
  readonly journal: JournalEntry[];
  /** Ids of notices. */
  readonly untold: string[];
}

export interface WorldOptions {
  readonly seed: number;
  /** No crashes: a history that another store can follow. */
  readonly replayable?: boolean;
  readonly apply?: Apply;
}

interface Message {
  readonly at: number;
  readonly edge: ModelEdge;
  readonly command: Command;
}

interface Answer {
  readonly at: number;
  readonly message: Message;
  readonly reply: Reply;
}

function chooseFaults(random: Random, replayable: boolean): Faults {
  const on = (value: number): number => (random.chance(0.5) ? value : 0);
  const hugeNumbers = random.chance(0.15);
  return {
    loss: on(0.2),
    duplicate: on(0.2),
    delayMsMax: random.chance(0.5) ? 10_000 : 50,
    death: on(0.004),
    crash: replayable ? 0 : on(0.03),
    sync: random.chance(0.5) ? 1 : 0.5,
    skew: random.chance(0.5),
    overspend: random.chance(0.3),
    hugeNumbers,
    jumps: on(0.02),
    // Half of the largest integer, raised again and again, would leave no room for debt: the ledger then rightly refuses.
    limitChanges: random.chance(0.3) && !hugeNumbers,
    releases: random.chance(0.3),
    adjusts: random.chance(0.3),
    outages: on(0.05),
    allowance: random.chance(0.7) ? 0.05 : 0,
    setsBack: on(0.05),
  };
}

export class World {
  readonly history: HistoryEntry[] = [];
  readonly faults: Faults;
  readonly organisation: string;
  readonly #random: Random;
  readonly #apply: Apply;
  readonly #edges: ModelEdge[];
  readonly #limits: number[];
  readonly #replayable: boolean;
  #now = EPOCH;
  /** How far behind the ledger's clock is. */
  #behind = 0;
  #healed = false;
  /** Until when the ledger is away. */
  #awayUntil = 0;
  readonly #adjustments = new Map<string, Adjust>();
  #messages: Message[] = [];
  #answers: Answer[] = [];
  /** Replies whose change is not synced yet. */
  #unsynced: Answer[] = [];
  #unsyncedChanges: Change[] = [];
  #state = new State();
  #shadow: Shadow = new Map();
  #disk = new Map<string, { change: Change; value: BudgetRecord | LeaseRecord | JournalEntry | object }>();
  #diskShadow: Shadow = new Map();

  constructor(options: WorldOptions) {
    this.#random = new Random(options.seed);
    this.#apply = options.apply ?? apply;
    this.organisation = `sim-${options.seed}`;
    this.#replayable = options.replayable === true;
    this.faults = chooseFaults(this.#random, this.#replayable);
    const scale = this.faults.hugeNumbers ? Math.floor(LIMITS.amount / 6_000) : 1;
    this.#limits = [3_000, 1_500, 800].map((limit) => limit * scale);
    this.#edges = Array.from({ length: this.#random.between(1, 4) }, (_, i) => {
      const skew = this.faults.skew ? this.#random.between(-86_400_000, 86_400_000) : 0;
      const rate = this.faults.skew ? 1 + (this.#random.next() - 0.5) / 500 : 1;
      const { overspend: overspends, allowance } = this.faults;
      const behaviour = { offset: skew, rate, overspends, allowance };
      return new ModelEdge(`edge-${i}`, this.#random, behaviour);
    });
  }

  /** Throws if anything is wrong. */
  run(): void {
    for (let i = 0; i < STEPS; i++) this.#step();
    this.#drain();
  }

  /** The state now, in the order in which a Ledger gives it; leases in any order. */
  books(): Books {
    const org = this.#state.organisation(this.organisation);
    const keys = [...org.budgets.keys()].sort();
    const budgets = keys.flatMap((key) => this.#state.budget(org, key, this.#clock()) ?? []);
    const leases = [...org.leases.values()].filter(({ state }) => state === "open");
    return { budgets, leases, journal: org.journal, untold: [...org.untold].sort() };
  }

  /** As when another node of Redis takes over, with another clock: what was on its way dies with its connection. */
  #setClock(behind = this.#random.pick([0, 1_000, this.#random.between(0, BACK_MS)])): void {
    this.#behind = behind;
    this.#messages = [];
  }

  /** What the ledger takes for the time. */
  #clock(): number {
    return this.#now - this.#behind;
  }

  #step(): void {
    const { faults } = this;
    this.#now += this.#random.between(0, 1_500);
    if (!this.#healed && this.#random.chance(faults.jumps)) this.#now += this.#random.between(0, 5_400_000);
    if (!this.#healed && this.#random.chance(faults.setsBack)) this.#setClock();
    if (!this.#healed && this.#random.chance(faults.outages))
      this.#awayUntil = this.#now + this.#random.between(1_000, 60_000);
    this.#deliverMessages();
    if (this.#healed || this.#random.chance(faults.sync)) this.#sync();
    if (!this.#healed && this.#random.chance(faults.crash)) this.#crash();
    this.#deliverAnswers();
    for (const edge of this.#edges) {
      if (!this.#healed && this.#random.chance(faults.death)) edge.alive = false;
      for (const command of edge.tick(this.#now, () => this.#makeRequest())) this.#send(edge, command);
    }
    if (!this.#healed && faults.adjusts && this.#random.chance(0.1)) this.#adjust();
    checkState(this.#state.organisation(this.organisation), this.#shadow);
    for (const edge of this.#edges) for (const lease of edge.leases.values()) this.#checkAllowance(lease);
  }

  /** No outage lets more through than its allowance, and the ledger never takes more of it for debt than was used. */
  #checkAllowance({ command, allowance, spent }: EdgeLease): void {
    if (allowance === undefined) return;
    const entries = this.#shadow.get(command.leaseId)?.entries ?? [];
    spent.forEach((amount, i) => {
      const most = allowance[i] ?? 0;
      assert.ok(this.faults.overspend || amount <= most, `${command.leaseId}: ${amount} of ${most} allowed`);
      const { granted = 0, charged = 0 } = entries[i] ?? {};
      assert.ok(granted === 0 && charged <= amount, `${command.leaseId}: ${charged} charged for ${amount}`);
    });
  }

  /** A person refunds, charges, or sends the last adjustment again. */
  #adjust(): void {
    const again = this.#random.chance(0.2);
    const records = [...this.#state.organisation(this.organisation).budgets.values()];
    if (records.length === 0) return;
    const { key, spent } = this.#random.pick(records);
    const amount = this.#random.chance(0.5) ? -this.#random.between(1, 1 + Math.max(0, spent)) : 50;
    const id = `adjust-${this.#adjustments.size}`;
    const made: Adjust = {
      ...{ kind: "adjust", id, subject: this.organisation, budget: key },
      ...{ amount, by: "somebody", reason: "a test" },
    };
    const last = [...this.#adjustments.values()].at(-1);
    const command = again && last !== undefined ? last : made;
    this.#adjustments.set(command.id, command);
    this.#command(command);
  }

  #makeRequest(): Omit<Acquire, "kind" | "leaseId" | "edge"> {
    const random = this.#random;
    const team = random.pick(["a", "b"]);
    const subject = `${this.organisation}/${team}/key-${random.between(1, 2)}`;
    if (this.faults.limitChanges && random.chance(0.05)) {
      const i = random.between(0, 2);
      this.#limits[i] = Math.min(LIMITS.amount, Math.floor((this.#limits[i] ?? 0) * random.pick([0.7, 1.3])));
    }
    const [all = 0, ofTeam = 0, ofKey = 0] = this.#limits;
    const scale = this.faults.hugeNumbers ? Math.floor(LIMITS.amount / 6_000) : 1;
    const need = random.between(0, 60) * scale;
    const want = need * random.between(0, 8);
    // On this day both have the same midnight, but not the next one.
    const timeZone = this.faults.limitChanges && random.chance(0.05) ? "Africa/Lagos" : "Europe/Berlin";
    const common = { timeZone, billingDay: 31, modelClass: "", need, want } as const;
    const budgets: BudgetRequest[] = [
      { ...common, name: "key", subject, meter: "tokens", limit: ofKey, window: "hour" },
      {
        ...common,
        name: "team",
        subject: `${this.organisation}/${team}`,
        meter: "tokens",
        limit: ofTeam,
        window: "day",
      },
      { ...common, name: "all", subject: this.organisation, meter: "tokens", limit: all, window: "month" },
    ];
    const onExpiry: OnExpiry = random.pick(["charge_reported", "charge_all"]);
    return {
      subject,
      budgets: budgets.slice(random.between(0, 2)),
      ttlMs: random.pick([5_000, 20_000, 60_000]),
      onExpiry,
    };
  }

  #send(edge: ModelEdge, command: Command): void {
    const copies = !this.#healed && this.#random.chance(this.faults.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (!this.#healed && this.#random.chance(this.faults.loss)) continue;
      this.#messages.push({ at: this.#now + this.#delay(), edge, command });
    }
    // Somebody else, or an idle edge, gives a lease back early; its own reports come later and must still count.
    if (!this.#healed && this.faults.releases && command.kind === "settle" && this.#random.chance(0.05)) {
      const { leaseId, subject } = command;
      this.#messages.push({
        at: this.#now + this.#delay(),
        edge,
        command: { kind: "release", leaseId, subject },
      });
    }
  }

  #delay(): number {
    return this.#healed ? 1 : this.#random.between(1, this.faults.delayMsMax);
  }

  #deliverMessages(): void {
    const due = this.#messages.filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at);
    this.#messages = this.#messages.filter(({ at }) => at > this.#now);
    const away = !this.#healed && this.#now < this.#awayUntil;
    for (const message of due) {
      if (away || this.#now - message.at > CONNECTION_MS) continue;
      const reply = this.#command(message.command);
      const lost = !this.#healed && this.#random.chance(this.faults.loss);
      if (!lost) this.#unsynced.push({ at: this.#now + this.#delay(), message, reply });
    }
  }

  #command(command: Command): Reply {
    validate(command);
    const known = command.kind === "acquire" && this.#shadow.has(command.leaseId);
    const now = this.#clock();
    const reply = this.#apply(this.#state, command, now);
    const isCompared = this.#replayable && this.history.length % BOOKS_EVERY === 0;
    this.history.push({ now, command, reply, ...(isCompared && { books: structuredClone(this.books()) }) });
    for (const change of this.#state.takeChanges()) {
      this.#unsyncedChanges.push(change);
      const lease =
        change.table === "lease"
          ? this.#state.organisation(this.organisation).leases.get(change.id)
          : undefined;
      if (lease !== undefined) this.#shadow.set(lease.id, { ...lease });
    }
    if (command.kind === "acquire") {
      const org = this.#state.organisation(this.organisation);
      checkAcquire(org, command, reply as AcquireReply, now);
      const granted = (reply as AcquireReply).outcome === "granted";
      if (!known && granted) checkNewGrant(org, command, reply as Granted, now);
    }
    return reply;
  }

  #sync(): void {
    const org = this.#state.organisation(this.organisation);
    for (const change of this.#unsyncedChanges) {
      const key = `${change.table} ${String(change.id).padStart(8, "0")}`;
      const value =
        change.table === "journal"
          ? this.#state.journalEntry(this.organisation, change.id)
          : change.table === "budget"
            ? org.budgets.get(change.id)
            : change.table === "lease"
              ? org.leases.get(change.id)
              : org.untold.has(change.id) && { untold: change.id };
      if (!value) this.#disk.delete(key);
      else this.#disk.set(key, { change, value: { ...value } });
    }
    this.#unsyncedChanges = [];
    for (const [key, record] of org.budgets)
      assert.deepEqual(
        this.#disk.get(`budget ${key}`)?.value,
        record,
        `${key}: has changed, and it was not told`,
      );
    this.#diskShadow = new Map(this.#shadow);
    this.#answers.push(...this.#unsynced);
    this.#unsynced = [];
  }

  /** The sidecar dies and comes back with what the disk has; nobody gets the replies that were held back. */
  #crash(): void {
    this.#unsynced = [];
    this.#unsyncedChanges = [];
    this.#shadow = new Map(this.#diskShadow);
    this.#state = new State();
    for (const [, { change, value }] of [...this.#disk].sort(([a], [b]) => (a < b ? -1 : 1)))
      if (change.table === "journal")
        this.#state.restoreJournal(this.organisation, change.id, value as JournalEntry);
      else if (change.table === "untold") this.#state.restoreNotice(this.organisation, change.id);
      else this.#state.restore(this.organisation, { ...value } as BudgetRecord | LeaseRecord);
  }

  #deliverAnswers(): void {
    const due = this.#answers.filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at);
    this.#answers = this.#answers.filter(({ at }) => at > this.#now);
    for (const { message, reply } of due) {
      const { edge, command } = message;
      if (command.kind === "acquire") edge.receiveAcquire(this.#now, command, reply as AcquireReply);
      if (command.kind === "settle") edge.receiveReport(this.#now, command, reply as ReportReply);
    }
  }

  #drain(): void {
    this.#healed = true;
    this.#setClock(0);
    for (const edge of this.#edges) edge.draining = true;
    const busy = (): boolean =>
      this.#messages.length > 0 ||
      this.#edges.some(
        (edge) => edge.alive && [...edge.leases.values()].some(({ state }) => state !== "ended"),
      );
    let steps = 0;
    while (busy()) {
      assert.ok(++steps <= DRAIN_STEPS, "it does not drain");
      this.#step();
    }
    // Leases of dead edges, and such as nobody ever heard of, die of age.
    this.#now += 60_001;
    while (
      (this.#command({ kind: "sweep", organisation: this.organisation }) as { expired: number }).expired > 0
    );
    checkState(this.#state.organisation(this.organisation), this.#shadow);
    for (const lease of this.#shadow.values()) this.#checkEnd(lease);
  }

  #checkEnd(lease: LeaseRecord): void {
    assert.notEqual(lease.state, "open", `${lease.id}: still open`);
    const adjustment = this.#adjustments.get(lease.id);
    if (adjustment !== undefined) {
      assert.equal(lease.entries[0]?.charged, adjustment.amount, `${lease.id}: is not what was adjusted`);
      return;
    }
    const edge = this.#edges.find(({ id }) => id === lease.edge);
    const held = edge?.leases.get(lease.id);
    assert.ok(edge !== undefined && held !== undefined, `${lease.id}: a lease that nobody asked for`);
    lease.entries.forEach((entry, i) => {
      const whole = lease.onExpiry === "charge_all" ? Math.max(entry.granted, entry.spent) : entry.spent;
      // An edge that heard a denial first does not know of a grant to a copy of the same Acquire: nobody reports it.
      const reported = edge.alive && held.answer !== undefined;
      const really = reported ? held.spent[i] : lease.state === "expired" ? whole : entry.spent;
      assert.equal(entry.charged, really, `${lease.id} on ${entry.budget}: charged is not what was spent`);
    });
  }
}
