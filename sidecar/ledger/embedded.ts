/**
 * The default store: the pure machine in this process, kept in LMDB (package `lmdb`). One process per directory:
 * memory is the truth between two writes, so a second process is refused (lock.ts).
 *
 * Durability: a reply is sent after the LMDB transaction that holds its change was committed *and* synced to disk
 * (`overlappingSync: false` makes a commit end with the sync of data and meta page). What was answered survives
 * `kill -9`, a crash of the machine and loss of power, as far as the disk keeps what it says it synced; what was not
 * answered may or may not have happened, which idempotency keys and sequence numbers make harmless to repeat. A batch is
 * one transaction: a command's changes are kept together or not at all. There is one copy: a lost disk loses the ledger;
 * use Redis with replicas where that matters, or several sidecars.
 *
 * Layout, one table, keys are text and values msgpack:
 *   b/<organisation>/<budget key>          BudgetRecord
 *   l/<organisation>/<lease id>            LeaseRecord
 *   j/<organisation>/<number, 16 digits>   JournalEntry
 *   u/<organisation>/<notice id>           UntoldNotice
 *
 * Bounds: the state is held in memory as well (≈ 1 KiB per record); start reads all of it.
 */
import { existsSync, mkdirSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { systemReason, WeirError } from "../errors.ts";
import { checkLmdbFile } from "./lmdb-file.ts";
import { type Keeper, LocalLedger } from "./local.ts";
import { type Lock, lockDirectory } from "./lock.ts";
import { type Change, State } from "./state.ts";
import type { BudgetRecord, JournalEntry, LeaseRecord, Ledger } from "./types.ts";

export interface EmbeddedOptions {
  /** A directory of its own; made if absent. */
  readonly directory: string;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
}

interface UntoldNotice {
  readonly untold: string;
}

type Value = BudgetRecord | LeaseRecord | JournalEntry | UntoldNotice;

/** Opens the ledger and recovers its state. Throws WeirError `unavailable` if the directory cannot be used. */
export async function openEmbedded(options: EmbeddedOptions): Promise<Ledger> {
  let lock: Lock | undefined;
  try {
    makeDirectory(options.directory);
    lock = await lockDirectory(options.directory);
    const file = join(options.directory, "data.mdb");
    checkLmdbFile(file);
    checkRoom(options.directory);
    const db = open<Value, string>({ path: options.directory, noSubdir: false, overlappingSync: false });
    const state = recover(db, file);
    const keeper = new LmdbKeeper(db, lock);
    return new LocalLedger({ state, keeper, ...(options.clock && { clock: options.clock }) });
  } catch (thrown) {
    await lock?.release();
    if (thrown instanceof WeirError) throw thrown;
    const why = `the ledger's directory ${options.directory} cannot be used: ${systemReason(thrown)}`;
    throw new WeirError("unavailable", why, thrown);
  }
}

/** With its parents. Node's own recursion never ends where the system answers ENOENT all the same, as below /proc. */
function makeDirectory(directory: string): void {
  const parent = dirname(directory);
  if (!existsSync(parent)) makeDirectory(parent);
  try {
    mkdirSync(directory);
  } catch (thrown) {
    if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) throw thrown;
  }
}

/** What LMDB's two files take at first, with room to spare. */
const ROOM_BYTES_MIN = 256 << 10;

/**
 * Throws WeirError `unavailable` if a new ledger has no room: LMDB writes to its files through memory, and the system ends the
 * process, without a word, where a page of one has no place on the disk. What has its files can be read on a full disk.
 */
function checkRoom(directory: string): void {
  const holds = (name: string) =>
    (statSync(join(directory, name), { throwIfNoEntry: false })?.blocks ?? 0) > 0;
  if (holds("data.mdb") && holds("lock.mdb")) return;
  const { bavail, blocks, bsize } = statfsSync(directory);
  const free = bavail * bsize;
  // Some file systems do not tell how large they are.
  if (blocks > 0 && free < ROOM_BYTES_MIN)
    throw new WeirError(
      "unavailable",
      `the ledger's directory ${directory}: ${free} bytes are free on its disk: expected at least ${ROOM_BYTES_MIN}`,
    );
}

class LmdbKeeper implements Keeper {
  readonly #db: RootDatabase<Value, string>;
  readonly #lock: Lock;

  constructor(db: RootDatabase<Value, string>, lock: Lock) {
    this.#db = db;
    this.#lock = lock;
  }

  async keep(changes: readonly Change[], state: State): Promise<void> {
    // Copied now: the transaction runs later, when commands of the next batch may have changed the records.
    const writes = changes.map((change) => ({ key: keyOf(change), value: copyOf(change, state) }));
    const transaction = this.#db.transaction(() => {
      for (const { key, value } of writes) {
        if (value === undefined) this.#db.remove(key);
        else this.#db.put(key, value);
      }
    });
    // The package puts it into a batch of its own, from the next turn of the event loop on. When that fails as well and nobody
    // listens, the process would end, and could not refuse any more.
    setImmediate(() => this.#db.committed.then(ignore, ignore));
    await transaction.catch(reasonOf);
  }

  async close(): Promise<void> {
    await this.#db.close();
    await this.#lock.release();
  }
}

const ignore = (): void => undefined;

/** Why a commit failed is told by a promise of its own, which ends the process if nobody listens. Rejects with it, if it is known. */
async function reasonOf(thrown: { readonly commitError?: Promise<never> }): Promise<never> {
  const failed = Promise.reject(thrown);
  return Promise.race([thrown.commitError ?? failed, failed]).catch((error: Error & { code?: unknown }) => {
    // LMDB's numbers above zero are the system's, for which Node has negative ones.
    throw typeof error.code === "number" ? Object.assign(error, { errno: -error.code }) : error;
  });
}

function keyOf(change: Change): string {
  if (change.table === "journal") return `j/${change.organisation}/${String(change.id).padStart(16, "0")}`;
  return `${change.table.slice(0, 1)}/${change.organisation}/${change.id}`;
}

/** One level deep: the machine replaces a lease's entries and never changes one. */
function copyOf(change: Change, state: State): Value | undefined {
  const org = state.organisations.get(change.organisation);
  if (change.table === "journal") return state.journalEntry(change.organisation, change.id);
  if (change.table === "untold") return org?.untold.has(change.id) ? { untold: change.id } : undefined;
  const record = change.table === "budget" ? org?.budgets.get(change.id) : org?.leases.get(change.id);
  return record && { ...record };
}

/** Throws WeirError `unavailable` where a damaged page hides records: what they say was spent would be granted again. */
function recover(db: RootDatabase<Value, string>, file: string): State {
  const state = new State();
  let count = 0;
  // Keys come in order, so journal entries come in the order of their numbers.
  for (const { key, value } of db.getRange()) {
    count++;
    const [table, organisation = "", id = ""] = key.split("/", 3);
    if (table === "j") state.restoreJournal(organisation, Number(id), value as JournalEntry);
    else if (table === "u") state.restoreNotice(organisation, (value as UntoldNotice).untold);
    else state.restore(organisation, value as BudgetRecord | LeaseRecord);
  }
  // LMDB tells how many it has apart from its pages; reading, it passes over what it cannot find.
  const { entryCount } = db.getStats() as { readonly entryCount: number };
  if (count !== entryCount)
    throw new WeirError(
      "unavailable",
      `${file}: ${count} of ${entryCount} records can be read: it is damaged. Restore a whole copy of it, or name another directory`,
    );
  return state;
}
