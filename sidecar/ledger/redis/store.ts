/**
 * The ledger in Redis 7 or Redis Cluster. The transitions are the Lua scripts beside this file (keys: common.lua); a
 * script is atomic, all its keys carry the organisation as hash tag, and time is Redis' own. Any number of sidecars may
 * use one Redis: none of them keeps state.
 *
 * Durability is Redis' own: an answer is worth what its settings make it worth (../DURABILITY.md).
 *
 * A lost reply, a timeout or a connection that breaks leaves open whether the command happened. A caller that repeats it
 * with the same lease id or sequence gets the answer of the first time.
 */
import { ErrorReply } from "redis";
import { WeirError } from "../../errors.ts";
import { windowAt } from "../calendar.ts";
import {
  type Acquire,
  type AcquireReply,
  type Adjust,
  type AdjustReply,
  type BudgetRecord,
  identityOf,
  isWithin,
  type JournalEntry,
  type LeaseRecord,
  type Ledger,
  LIMITS,
  type Notice,
  noticeOf,
  organisationOf,
  type Release,
  type ReportReply,
  type ReportStatus,
  type Settle,
  type SweepReply,
  subjectOf,
  type Warning,
} from "../types.ts";
import { usedBefore, validate } from "../validate.ts";
import { connect, type RedisCommands, reasonOf, withDeadline } from "./connect.ts";
import { packNumbers, parseBudget, parseJournalEntry, parseLease } from "./records.ts";
import { loadScripts, type Script, type Scripts } from "./scripts.ts";

export interface RedisHooks {
  /** Each script that ran; `reloaded` if Redis did not have it. For latency and error metrics. */
  readonly onScript?: (name: string, seconds: number, outcome: "ok" | "reloaded" | "error") => void;
  /** Why the connection failed, without secrets. */
  readonly onConnectionError?: (reason: string) => void;
  /** Redis answers, and all the same something is wrong with it that a person must mend. */
  readonly onRedisTrouble?: (trouble: string) => void;
  /** Whether a node that says so may forget budgets when its memory is full; each time that they were asked. */
  readonly onRedisForgets?: (forgets: boolean) => void;
}

export interface RedisOptions {
  readonly urls: readonly string[];
  readonly cluster: boolean;
  readonly hooks?: RedisHooks;
}

/** What a script's reply is made of. */
type Cell = string | number;

/** Every organisation that ever acquired something; the one key without a tag. */
const ORGANISATIONS = "weir:organisations";
const ORGANISATIONS_KNOWN_MAX = 100_000;
/** The code with which ready.lua refuses a version. */
const TOO_OLD = "TOOOLD ";
/** With every other policy an evicted budget counts as unused. */
const NO_EVICTION = "noeviction";
const COMMAND_MS = 2_000;
/** Records that are read for people at once: far fewer than the commands that may wait (connect.ts). */
const READ_AT_ONCE = 200;
/** The first try with a wrong guess of Redis' time teaches the right one; a second failure means a boundary passed. */
const STALE_TRIES = 4;

/** Connects. Throws WeirError `unavailable`, also where Redis is too old, or one node of a cluster that it is not taken for. */
export async function openRedis(options: RedisOptions): Promise<Ledger> {
  const { urls, cluster, hooks = {} } = options;
  const client = await connect({
    urls,
    cluster,
    onConnectionError: (reason) => hooks.onConnectionError?.(reason),
  });
  const ledger = new RedisLedger(client, loadScripts(), hooks);
  // What is wrong with a Redis that answers is told at once, before anybody asks. All but its age may pass.
  const old = (await ledger.examine()).find((refusal) => refusal?.startsWith(TOO_OLD));
  if (old === undefined) return ledger;
  await ledger.close();
  throw new WeirError("unavailable", `Redis cannot be used: ${old.slice(TOO_OLD.length)}`);
}

function keyPrefix(organisation: string): string {
  return `weir:{${organisation}}:`;
}

export class RedisLedger implements Ledger {
  readonly #client: RedisCommands;
  readonly #scripts: Scripts;
  readonly #hooks: RedisHooks;
  readonly #known = new Set<string>();
  /** Redis' time minus ours, in ms, as far as we know. */
  #offset = 0;

  constructor(client: RedisCommands, scripts: Scripts, hooks: RedisHooks = {}) {
    this.#client = client;
    this.#scripts = scripts;
    this.#hooks = hooks;
  }

  async acquire(command: Acquire): Promise<AcquireReply> {
    validate(command);
    const organisation = organisationOf(command.subject);
    this.#know(organisation);
    for (let tries = 0; tries < STALE_TRIES; tries++) {
      const reply = await this.#tryAcquire(command, keyPrefix(organisation));
      if (reply !== undefined) return reply;
    }
    throw new WeirError("unavailable", "Redis' clock does not stand still long enough");
  }

  async settle(command: Settle): Promise<ReportReply> {
    validate(command);
    const prefix = keyPrefix(organisationOf(command.subject));
    const { leaseId, sequence, final, spent } = command;
    const keys = [`${prefix}lease:${leaseId}`];
    const amounts = spent.map(String);
    return reportReply(
      await this.run(this.#scripts.settle, keys, [
        prefix,
        leaseId,
        String(sequence),
        final ? "1" : "0",
        String(spent.length),
        ...amounts,
      ]),
    );
  }

  async release(command: Release): Promise<ReportReply> {
    validate(command);
    const prefix = keyPrefix(organisationOf(command.subject));
    const keys = [`${prefix}lease:${command.leaseId}`];
    return reportReply(await this.run(this.#scripts.release, keys, [prefix, command.leaseId]));
  }

  async sweep(organisation: string): Promise<SweepReply> {
    validate({ kind: "sweep", organisation });
    const prefix = keyPrefix(organisation);
    const keys = [`${prefix}expiries`];
    const [expired, untold, ...notices] = await this.run(this.#scripts.sweep, keys, [prefix]);
    return { expired: Number(expired), untold: Number(untold), notices: noticesOf(notices) };
  }

  async adjust(command: Adjust): Promise<AdjustReply> {
    validate(command);
    const { id, subject, budget, amount, by, reason } = command;
    const prefix = keyPrefix(organisationOf(subject));
    const keys = [`${prefix}lease:${id}`, `${prefix}budget:${budget}`];
    const args = [prefix, id, by, subject, String(amount), reason];
    const [status, spent, ...notices] = await this.run(this.#scripts.adjust, keys, args);
    if (status === "conflict") throw usedBefore(id);
    if (status === "other") throw usedBefore(id, String(notices[0]), Number(spent));
    return {
      status: status as AdjustReply["status"],
      spent: Number(spent),
      notices: noticesOf(notices),
    };
  }

  async organisations(): Promise<string[]> {
    const names = await this.#ask(this.#client.sMembers(ORGANISATIONS));
    // What Redis has lost, by a failover or an old backup, is made known again.
    this.#known.clear();
    for (const name of names.slice(0, ORGANISATIONS_KNOWN_MAX)) this.#known.add(name);
    return names.sort();
  }

  async budgets(subject: string): Promise<BudgetRecord[]> {
    const prefix = keyPrefix(organisationOf(subject));
    const keys = await this.#ask(this.#client.zRange(`${prefix}windows`, 0, -1));
    const now = this.now();
    const mine = keys.filter((key) => isWithin(subjectOf(key), subject));
    const records = await this.#readAll(mine, `${prefix}budget:`, parseBudget);
    return records.filter(({ leases, keepUntil }) => leases > 0 || keepUntil > now);
  }

  async leases(organisation: string): Promise<LeaseRecord[]> {
    const prefix = keyPrefix(organisation);
    const ids = await this.#ask(this.#client.zRange(`${prefix}expiries`, 0, -1));
    return this.#readAll(ids, `${prefix}lease:`, parseLease);
  }

  async journal(organisation: string): Promise<JournalEntry[]> {
    const key = `${keyPrefix(organisation)}journal`;
    const lines = await this.#ask(this.#client.lRange(key, 0, -1));
    return recordOf(key, () => lines.map(parseJournalEntry));
  }

  async untold(organisation: string): Promise<Notice[]> {
    const since = this.now() - LIMITS.untoldRetentionMs;
    const ids = await this.#ask(this.#client.zRange(`${keyPrefix(organisation)}untold`, 0, -1));
    return ids.map(noticeOf).filter(({ at }) => at > since);
  }

  async told(organisation: string, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#ask(this.#client.zRem(`${keyPrefix(organisation)}untold`, [...ids]));
  }

  async ready(): Promise<number> {
    const nodes = await this.examine();
    const ready = nodes.filter((refusal) => refusal === undefined).length;
    return nodes.length === 0 ? 0 : ready / nodes.length;
  }

  /** Why each node would not do what it is asked, undefined where it would; and tells what a person must mend. */
  async examine(): Promise<(string | undefined)[]> {
    const policies = new Set<string>();
    const refusals = await Promise.all(
      this.#client.readyKeys().map((key) => this.#examineNode(key, policies)),
    );
    for (const policy of policies)
      if (policy !== NO_EVICTION)
        this.#hooks.onRedisTrouble?.(
          `the ledger's Redis may forget budgets when its memory is full: maxmemory-policy: ${policy}: expected ${NO_EVICTION}`,
        );
    if (policies.size > 0) this.#hooks.onRedisForgets?.(policies.size > 1 || !policies.has(NO_EVICTION));
    const away = refusals.filter((refusal) => refusal !== undefined).length;
    if (away > 0 && away < refusals.length)
      this.#hooks.onRedisTrouble?.(
        `${away} of ${refusals.length} nodes of the ledger's Redis Cluster do not answer or refuse: organisations on them have no ledger`,
      );
    return refusals;
  }

  /** Adds to `policies` what the node does when its memory is full, if it says so; what is read of it is judged by its time. */
  async #examineNode(key: string, policies: Set<string>): Promise<string | undefined> {
    try {
      const [policy = "", time] = await this.run(this.#scripts.ready, [key], []);
      this.#offset = Number(time) - Date.now();
      if (policy !== "") policies.add(String(policy));
      return undefined;
    } catch (thrown) {
      const { message, cause } = WeirError.from(thrown);
      if (!(cause instanceof ErrorReply)) return message;
      this.#hooks.onRedisTrouble?.(`the ledger's Redis refuses: ${cause.message}`);
      return cause.message;
    }
  }

  async close(): Promise<void> {
    await withDeadline(this.#client.close(), COMMAND_MS).catch(() => this.#client.destroy());
  }

  /** Redis' time as we guess it, in ms. */
  now(): number {
    return Date.now() + this.#offset;
  }

  /** Runs a script by its hash, and by its text where Redis does not know it (yet, or after a restart). */
  protected async run(script: Script, keys: string[], args: (string | Buffer)[]): Promise<Cell[]> {
    const started = performance.now();
    let outcome: "ok" | "reloaded" | "error" = "ok";
    try {
      const call = { keys, arguments: args };
      const reply = await withDeadline(
        this.#client.evalSha(script.sha, call).catch((error: Error) => {
          if (!error.message.startsWith("NOSCRIPT")) throw error;
          outcome = "reloaded";
          return this.#client.eval(script.source, call);
        }),
        COMMAND_MS,
      );
      return reply as Cell[];
    } catch (thrown) {
      outcome = "error";
      throw failed(thrown);
    } finally {
      this.#hooks.onScript?.(script.name, (performance.now() - started) / 1_000, outcome);
    }
  }

  /** Undefined: our guess of the time was off, and is better now. */
  async #tryAcquire(command: Acquire, prefix: string): Promise<AcquireReply | undefined> {
    const offset = this.#offset;
    const guess = this.now();
    const keys = [`${prefix}lease:${command.leaseId}`];
    const numbers: number[] = [];
    for (const budget of command.budgets) {
      const { start, end } = windowAt(budget, guess);
      keys.push(`${prefix}budget:${identityOf(budget)}|${start}`);
      numbers.push(start, end, budget.limit, budget.need, budget.want);
    }
    const { leaseId, edge, subject, ttlMs, onExpiry } = command;
    const args = [prefix, leaseId, edge, subject, String(ttlMs), onExpiry, packNumbers(numbers)];
    const [outcome, ...rest] = await this.run(this.#scripts.acquire, keys, args);
    if (outcome === "stale") {
      // Of the offset that was guessed with: many commands may learn the same at once.
      this.#offset = offset + Number(rest[0]) - guess;
      return undefined;
    }
    if (outcome === "conflict")
      throw new WeirError("conflict", `lease_id: ${command.leaseId}: was used before, for other budgets`);
    return outcome === "granted" ? grantedReply(command, rest) : deniedReply(command, rest);
  }

  /**
   * Makes it known to sweeps and people. Sent before what it is for, and not waited for: in a cluster the node of this
   * one key may be away while the organisation's own is not. What fails is sent again with the next Acquire.
   */
  #know(organisation: string): void {
    if (this.#known.has(organisation)) return;
    if (this.#known.size >= ORGANISATIONS_KNOWN_MAX) this.#known.clear();
    this.#known.add(organisation);
    this.#client.sAdd(ORGANISATIONS, organisation).catch(() => this.#known.delete(organisation));
  }

  /** The records of these names that are there, in order; a few at a time, so that commands of proxies find room between them. */
  async #readAll<T>(
    names: string[],
    prefix: string,
    parse: (name: string, bytes: Buffer) => T,
  ): Promise<T[]> {
    const found: T[] = [];
    names.sort();
    for (let i = 0; i < names.length; i += READ_AT_ONCE) {
      const some = names.slice(i, i + READ_AT_ONCE);
      const values = await Promise.all(some.map((name) => this.#getBytes(prefix + name)));
      values.forEach((bytes, n) => {
        const name = some[n] as string;
        if (bytes !== null) found.push(recordOf(prefix + name, () => parse(name, bytes)));
      });
    }
    return found;
  }

  #getBytes(key: string): Promise<Buffer | null> {
    return this.#ask(
      this.#client.getBytes(key).catch((thrown) => {
        throw thrown instanceof ErrorReply && thrown.message.startsWith("WRONGTYPE ")
          ? noRecord(key, thrown)
          : thrown;
      }),
    );
  }

  async #ask<T>(work: Promise<T>): Promise<T> {
    try {
      return await withDeadline(work, COMMAND_MS);
    } catch (thrown) {
      throw failed(thrown);
    }
  }
}

/** Codes of Redis for what it did not begin; a script meets them at its first write at the latest. What stops one later is ERR. */
const REFUSED =
  /^(READONLY|OOM|MISCONF|NOREPLICAS|LOADING|BUSY|NOPERM|NOAUTH|MOVED|CLUSTERDOWN|MASTERDOWN|TRYAGAIN) /;

/** With what common.lua names the key of what is no record. */
const NO_RECORD = /^NORECORD (\S+)/;

/** Somebody else wrote in a record's place. Nothing was changed: all is read before. */
function noRecord(key: string, cause: unknown): WeirError {
  return new WeirError(
    "refused",
    `the ledger's Redis has no record of the ledger in ${key}, but what somebody else wrote there: delete it, and it counts as nothing`,
    cause,
  );
}

function recordOf<T>(key: string, parse: () => T): T {
  try {
    return parse();
  } catch (thrown) {
    throw noRecord(key, thrown);
  }
}

function failed(thrown: unknown): WeirError {
  if (thrown instanceof WeirError) return thrown;
  const [, key] = (thrown instanceof ErrorReply && NO_RECORD.exec(thrown.message)) || [];
  if (key !== undefined) return noRecord(key, thrown);
  if (!(thrown instanceof ErrorReply))
    return new WeirError("unavailable", "the ledger's Redis does not answer", thrown);
  const code = REFUSED.test(thrown.message) ? "refused" : "unavailable";
  return new WeirError(code, `the ledger's Redis refuses: ${reasonOf(thrown)}`, thrown);
}

function grantedReply(command: Acquire, [usable, place, percent, resetMs, ...rest]: Cell[]): AcquireReply {
  const amounts = rest.slice(0, 2 * command.budgets.length).map(Number);
  return {
    outcome: "granted",
    granted: amounts.filter((_, i) => i % 2 === 0),
    remaining: amounts.filter((_, i) => i % 2 === 1),
    usableMs: Number(usable),
    warning: warningOf(place, percent, resetMs),
    notices: noticesOf(rest.slice(amounts.length)),
  };
}

function deniedReply(
  command: Acquire,
  [index, used, resetMs, never, busy, ...notices]: Cell[],
): AcquireReply {
  const budget = command.budgets[Number(index)];
  if (budget === undefined) throw new WeirError("internal", "a script answered nonsense");
  return {
    outcome: "denied",
    budget: budget.name,
    limit: budget.limit,
    used: Number(used),
    window: budget.window,
    resetMs: Number(resetMs),
    never: never === 1,
    busy: busy === 1,
    notices: noticesOf(notices),
  };
}

function reportReply([status, usable, place, percent, resetMs, ...notices]: Cell[]): ReportReply {
  return {
    status: status as ReportStatus,
    usableMs: Number(usable),
    warning: warningOf(place, percent, resetMs),
    notices: noticesOf(notices),
  };
}

/** A place below 0 is none. */
function warningOf(place: Cell = -1, percent: Cell = 0, resetMs: Cell = 0): Warning | null {
  const budget = Number(place);
  return budget < 0 ? null : { budget, percent: Number(percent), resetMs: Number(resetMs) };
}

const noticesOf = (ids: Cell[]): Notice[] => ids.map((id) => noticeOf(String(id)));
