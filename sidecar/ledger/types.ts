/**
 * The ledger's vocabulary: commands, replies, records, and the interface that every store implements.
 *
 * A budget has one record per window, so a window that ended is never changed into the next one: a lease that outlives
 * its window still finds, and charges, the record it was granted from.
 *
 *   identity      acme/search|monthly|tokens|month|large            (subject|name|meter|window|model class)
 *   budget key    acme/search|monthly|tokens|month|large|1761951600000                        (…|window start)
 *
 * Bounds: see LIMITS. All amounts are integers 0 … 2^53-1, which both JavaScript and Redis' Lua hold exactly.
 */

export const LIMITS = {
  /** The greatest limit, amount and sum. */
  amount: Number.MAX_SAFE_INTEGER,
  budgetsPerAcquire: 16,
  reportsPerSettle: 256,
  leaseIdLength: 128,
  /** A budget key: five texts, a window and a number. */
  budgetKeyLength: 1_024,
  textLength: 256,
  ttlMsMin: 1_000,
  ttlMsMax: 3_600_000,
  /** A lease with a final report is remembered so long, for repeated and reordered messages. */
  closedRetentionMs: 600_000,
  /** A lease that died or was released is remembered so long: its edge may have been cut off, and report late. */
  unsettledRetentionMs: 86_400_000,
  /** Expired leases that one command resolves on its way. */
  sweepPerCommand: 16,
  /** Entries of the journal kept per organisation; older ones go first. */
  journal: 10_000,
  /** Notices kept per organisation until somebody has told them; older ones go first. The journal has them all the same. */
  untold: 1_000,
  untoldRetentionMs: 604_800_000,
  /** A grant above its need takes at most this fraction of what is left, so that several edges can share the rest. */
  shareDivisor: 8,
} as const;

export type Meter = "requests" | "tokens" | "prompt_tokens" | "completion_tokens" | "cost";
export type Window = "hour" | "day" | "week" | "month";
export type OnExpiry = "charge_reported" | "charge_all";

export interface BudgetRequest {
  readonly name: string;
  readonly subject: string;
  readonly meter: Meter;
  readonly limit: number;
  readonly window: Window;
  /** IANA name. */
  readonly timeZone: string;
  /** 1 … 31. */
  readonly billingDay: number;
  readonly modelClass: string;
  readonly need: number;
  readonly want: number;
}

export interface Acquire {
  readonly kind: "acquire";
  readonly leaseId: string;
  readonly edge: string;
  readonly subject: string;
  readonly budgets: readonly BudgetRequest[];
  readonly ttlMs: number;
  readonly onExpiry: OnExpiry;
}

/** One report of one lease. */
export interface Settle {
  readonly kind: "settle";
  readonly leaseId: string;
  readonly subject: string;
  readonly sequence: number;
  readonly spent: readonly number[];
  readonly final: boolean;
}

export interface Release {
  readonly kind: "release";
  readonly leaseId: string;
  readonly subject: string;
}

export interface Sweep {
  readonly kind: "sweep";
  readonly organisation: string;
}

/** A person changes what counts as spent of one window of a budget. */
export interface Adjust {
  readonly kind: "adjust";
  /** The idempotency key; shares its namespace with lease ids. */
  readonly id: string;
  /** Any path of the organisation; its first segment decides. */
  readonly subject: string;
  /** A budget key, with its window. */
  readonly budget: string;
  /** Signed: above zero is charged, below is refunded. Never below what is spent, nor 0. */
  readonly amount: number;
  readonly by: string;
  readonly reason: string;
}

export type Command = Acquire | Settle | Release | Sweep | Adjust;

/** A budget crossed a mark. The ledger keeps it, with the change that made it, until somebody says that it was told. */
export interface Notice {
  /** The same whoever tells it and however often: time, percent, cause and budget key, joined by "|". */
  readonly id: string;
  /** By the ledger's clock. */
  readonly at: number;
  readonly budget: string;
  readonly subject: string;
  readonly percent: 80 | 100;
}

/** The fullest of a lease's budgets, while at least 80 % of it are spent: a state, where a notice is an event. */
export interface Warning {
  /** Its place among the lease's budgets, from 0. */
  readonly budget: number;
  /** Of its limit; above 100 after debt or a lowered limit. */
  readonly percent: number;
  /** Until its window ends. */
  readonly resetMs: number;
}

export interface Granted {
  readonly outcome: "granted";
  readonly granted: readonly number[];
  readonly remaining: readonly number[];
  readonly usableMs: number;
  readonly warning: Warning | null;
  readonly notices: readonly Notice[];
}

export interface Denied {
  readonly outcome: "denied";
  readonly budget: string;
  readonly limit: number;
  readonly used: number;
  readonly window: Window;
  /** Until the window ends. */
  readonly resetMs: number;
  /** The need is above the limit itself. */
  readonly never: boolean;
  /** The need would fit beside what is spent; it is leases that stand in the way, and they may come back unspent. */
  readonly busy: boolean;
  readonly notices: readonly Notice[];
}

export type ReportStatus = "applied" | "stale" | "unknown_lease" | "closed" | "invalid";

export interface ReportReply {
  readonly status: ReportStatus;
  /** 0 unless the lease is open. */
  readonly usableMs: number;
  /** Null unless the lease is open. */
  readonly warning: Warning | null;
  readonly notices: readonly Notice[];
}

export interface SweepReply {
  /** Leases that were found dead and resolved. */
  readonly expired: number;
  /** Notices that are kept because nobody has told them. */
  readonly untold: number;
  readonly notices: readonly Notice[];
}

export type AcquireReply = Granted | Denied;
export interface AdjustReply {
  /** "repeated": applied before. "invalid": it would leave less than nothing spent, or more than 2^53-1. */
  readonly status: "applied" | "repeated" | "unknown_budget" | "invalid";
  /** Afterwards; 0 for an unknown budget. */
  readonly spent: number;
  readonly notices: readonly Notice[];
}

export type Reply = AcquireReply | ReportReply | SweepReply | AdjustReply;

export interface BudgetRecord {
  readonly key: string;
  readonly start: number;
  /** As of the last question. */
  end: number;
  /** As of the last grant, and the highest of this window. */
  limit: number;
  limitMax: number;
  /** Charged; includes what passed the grants, which `debt` counts too. */
  spent: number;
  outstanding: number;
  debt: number;
  /** Open leases on it. While there are any, it is kept. */
  leases: number;
  notified: 0 | 80 | 100;
  /**
   * Forgotten from then on, if no lease is open: one more length of its window, so that yesterday and last month can be
   * looked up, and a day longer where a lease that ended may still report.
   */
  keepUntil: number;
}

export interface LeaseEntry {
  readonly budget: string;
  readonly granted: number;
  /** Last reported. */
  readonly spent: number;
  /** What the budget was charged through this lease: `spent`, or more where a dead lease was charged whole. */
  readonly charged: number;
  /** What went back to the budget when the lease ended. */
  readonly returned: number;
  /** Of the reply to Acquire. */
  readonly remaining: number;
}

export interface LeaseRecord {
  readonly id: string;
  readonly edge: string;
  readonly subject: string;
  readonly ttlMs: number;
  readonly onExpiry: OnExpiry;
  /** The nearest end of its windows. */
  readonly windowEnd: number;
  /** "closed" by a final report, "released" or "expired" without one. */
  state: "open" | "closed" | "released" | "expired";
  sequence: number;
  usableUntil: number;
  expiresAt: number;
  /** Infinity while it is open. */
  forgetAt: number;
  /** Replaced as a whole; an entry itself never changes. */
  entries: readonly LeaseEntry[];
}

/** What people ask for later: dead leases charged unseen, corrections that came late, adjustments by hand, notices. */
export interface JournalEntry {
  readonly at: number;
  readonly kind: "charged_unseen" | "corrected" | "adjusted" | "notice";
  readonly budget: string;
  /** Empty for a notice; the id of an adjustment. */
  readonly leaseId: string;
  /** Empty for a notice; who made an adjustment. */
  readonly edge: string;
  /** Of the budget's meter, signed; percent for a notice. */
  readonly amount: number;
  /** Of an adjustment. */
  readonly reason: string;
}

/**
 * One ledger, whatever keeps it. Every reply means: the change is as durable as DURABILITY.md says of the store.
 * Throws WeirError `invalid_argument` (see validate.ts), `conflict` (a lease_id used for other budgets), `refused` (the store is
 * there and changed nothing) or `unavailable`.
 */
export interface Ledger {
  acquire(command: Acquire): Promise<AcquireReply>;
  settle(command: Settle): Promise<ReportReply>;
  release(command: Release): Promise<ReportReply>;
  sweep(organisation: string): Promise<SweepReply>;
  adjust(command: Adjust): Promise<AdjustReply>;
  /** Organisations that ever had a budget here. */
  organisations(): Promise<string[]>;
  /** Every window that is still kept of a subject and of all below it, ordered by key. */
  budgets(subject: string): Promise<BudgetRecord[]>;
  /** Open leases, ordered by id. */
  leases(organisation: string): Promise<LeaseRecord[]>;
  /** Oldest first. */
  journal(organisation: string): Promise<JournalEntry[]>;
  /** Notices that nobody has told, oldest first. */
  untold(organisation: string): Promise<Notice[]>;
  /** These are told: they need not be kept. Ids that are not there are no error. */
  told(organisation: string, ids: readonly string[]): Promise<void>;
  /** Its own time, in ms since the epoch: of Redis as of when it told it last. Which window is the current one is told by no other. */
  now(): number;
  /** Which part of it can answer now, 0 to 1: of Redis Cluster how many of its nodes, of any other all or nothing. */
  ready(): Promise<number>;
  close(): Promise<void>;
}

/** The first segment of a subject: the unit of atomicity, and Redis' hash tag. */
export function organisationOf(subject: string): string {
  const slash = subject.indexOf("/");
  return slash < 0 ? subject : subject.slice(0, slash);
}

/** Whether `subject` is `path` or lies below it. */
export function isWithin(subject: string, path: string): boolean {
  return subject === path || subject.startsWith(`${path}/`);
}

/** The subject that a budget's key begins with. */
export function subjectOf(key: string): string {
  return key.slice(0, key.indexOf("|"));
}

export function identityOf(budget: BudgetRequest): string {
  return `${budget.subject}|${budget.name}|${budget.meter}|${budget.window}|${budget.modelClass}`;
}

/** `cause`: the id of the lease, the request or the adjustment that crossed the mark. It makes ids unguessable. */
export function noticeIdOf(at: number, percent: number, cause: string, key: string): string {
  return `${at}|${percent}|${cause}|${key}`;
}

/** Inverse of `noticeIdOf`. */
export function noticeOf(id: string): Notice {
  const [at, percent, , ...key] = id.split("|");
  const { name, subject } = describeKey(key.join("|"));
  return { id, at: Number(at), budget: name, subject, percent: percent === "80" ? 80 : 100 };
}

/** Inverse of a budget key, for people and notices. */
export function describeKey(key: string): {
  subject: string;
  name: string;
  meter: string;
  window: string;
  modelClass: string;
  start: number;
} {
  const [subject = "", name = "", meter = "", window = "", modelClass = "", start = ""] = key.split("|");
  return { subject, name, meter, window, modelClass, start: Number(start) };
}
