// What requests used that passed while the ledger was away: shared by all workers, kept until the ledger has taken it.
//
// The table is like that of shards.ts: a fixed number of records, created while configuring; a subject's tag selects one,
// so that all that counts against one of its budgets is in one record. It is small, so every worker can look through all
// of it at each tick: whichever does reports what it finds, and it does not matter which worker served the requests, or
// that one was restarted. An entry says all that takes: under which name the ledger is to know it, and the very Acquire
// that opens it, so that it outlives the policy it came from.
//
//  record   ┌───────────┬──────────┬──────────────────────────────┐
//           │ bytes u32 │ 0    u32 │ entries, one after the other │
//           └───────────┴──────────┴──────────────────────────────┘
//  entry    │ Debt │ BUDGETS_MAX × { budget u64, spent u64, reserved u64 } │ subject 96 B │ AcquireRequest, padded │
import { BUDGETS_MAX, DEBT_RECORD_MAX, DEBT_RECORDS, SUBJECT_MAX } from "./limits";
import { mix } from "./hash";
import { reserve } from "./memory";
import { arenaMark, arenaRewind } from "./proxy-wasm/arena";
import { sharedCreate, sharedGet, sharedSwap, sharedVersion } from "./proxy-wasm/shared-data";
import { AMOUNTS } from "./shards";
import { lenOf, NONE, ptrOf, slice, Slice } from "./slice";

const HEAD: usize = 8;

export enum DebtState {
  /** Requests may be let through on it. */
  Open = 1,
  /** Nothing uses it any more: its last report is to be acknowledged. */
  Closing = 2,
  /** The ledger has it. What it used still counts against the allowance of a next outage, until `restsUntil`. */
  Resting = 3,
}

/** What one subject used of one set of budgets in one outage. Times are of `now()`. */
@unmanaged
export class Debt {
  /** Whose: subject and set of budgets, as in a lease. */
  tag: u64;
  /** Its name at the ledger, unique by chance of 128 bits. */
  high: u64;
  low: u64;
  /** Which ledger it is for (Policy.ledgerTag). */
  ledger: u64;
  /** When a request last changed it. */
  usedNs: u64;
  /** Until then some worker waits for the ledger's answer about it. */
  claimedNs: u64;
  restsUntil: u64;
  /** The sum of the amounts that the newest report told. */
  told: u64;
  sequence: u32;
  subjectLength: i32;
  questionLength: i32;
  state: u8;
  count: u8;
  /** The ledger has opened it. */
  known: bool;
  /** What is lost with a worker is not charged. */
  chargeReported: bool;

  private amounts(i: i32): usize {
    return changetype<usize>(this) + offsetof<Debt>() + <usize>i * AMOUNTS;
  }
  /** Which budget the `i`th is, also in another set or under another version of the policy. */
  budget(i: i32): u64 {
    return load<u64>(this.amounts(i));
  }
  spent(i: i32): u64 {
    return load<u64>(this.amounts(i), 8);
  }
  reserved(i: i32): u64 {
    return load<u64>(this.amounts(i), 16);
  }
  setBudget(i: i32, tag: u64): void {
    store<u64>(this.amounts(i), tag);
  }
  setSpent(i: i32, amount: u64): void {
    store<u64>(this.amounts(i), amount, 8);
  }
  setReserved(i: i32, amount: u64): void {
    store<u64>(this.amounts(i), amount, 16);
  }
  /** The spent amounts, as in a lease. */
  get spentAt(): usize {
    return this.amounts(0) + 8;
  }
  get spentSum(): u64 {
    let sum: u64 = 0;
    for (let i = 0; i < <i32>this.count; i++) sum += this.spent(i);
    return sum;
  }
  /** Whether a request that it let through is still under way. */
  busy(): bool {
    for (let i = 0; i < <i32>this.count; i++) if (this.reserved(i) != 0) return true;
    return false;
  }
  private get subjectAt(): usize {
    return this.amounts(BUDGETS_MAX);
  }
  get subject(): Slice {
    return slice(this.subjectAt, this.subjectLength);
  }
  setSubject(subject: Slice): void {
    this.subjectLength = min(lenOf(subject), SUBJECT_MAX);
    memory.copy(this.subjectAt, ptrOf(subject), this.subjectLength);
  }
  /** The AcquireRequest that opens it at the ledger. */
  get question(): Slice {
    return slice(this.subjectAt + <usize>SUBJECT_MAX, this.questionLength);
  }
  get bytes(): usize {
    return bytesFor(this.questionLength);
  }
}

/** Of an entry with a question of `length` bytes. */
function bytesFor(length: i32): usize {
  return (offsetof<Debt>() + <usize>BUDGETS_MAX * AMOUNTS + <usize>SUBJECT_MAX + <usize>length + 7) & ~7;
}

/** The record that a subject's entries belong to. */
export function debtRecordOf(subjectTag: u64): u32 {
  return <u32>mix(subjectTag) & (DEBT_RECORDS - 1);
}

/** A working copy of one record between `open` and `commit`. */
export class DebtRecord {
  private readonly record: usize = reserve(DEBT_RECORD_MAX);
  private readonly key: usize = reserve(8);
  private version: u32 = 0;

  /** Reads record `number`; false when the host has none. */
  open(number: u32): bool {
    const mark = arenaMark();
    const value = sharedGet(debtKey(this.key, number));
    arenaRewind(mark);
    const bytes = lenOf(value);
    if (value == NONE || bytes < <i32>HEAD || bytes > DEBT_RECORD_MAX) return false;
    memory.copy(this.record, ptrOf(value), bytes);
    this.version = sharedVersion();
    return true;
  }

  /** Writes the record back if nobody else did since `open`. */
  commit(): bool {
    return sharedSwap(slice(this.key, 8), slice(this.record, <i32>(HEAD + this.size)), this.version);
  }

  private get size(): usize {
    return <usize>load<u32>(this.record);
  }
  /** The first entry, if it lies before `end`; the next one is `bytes` further on. */
  get begin(): usize {
    return this.record + HEAD;
  }
  get end(): usize {
    return this.begin + this.size;
  }

  /** The entry of this name, or null. */
  named(high: u64, low: u64): Debt | null {
    for (let at = this.begin; at < this.end; at += changetype<Debt>(at).bytes) {
      const debt = changetype<Debt>(at);
      if (debt.high == high && debt.low == low) return debt;
    }
    return null;
  }

  /** The open entry of a set of budgets, or null. */
  openOf(tag: u64): Debt | null {
    for (let at = this.begin; at < this.end; at += changetype<Debt>(at).bytes) {
      const debt = changetype<Debt>(at);
      if (debt.tag == tag && debt.state == DebtState.Open) return debt;
    }
    return null;
  }

  /** What all entries have used of a budget, and what is reserved of it. */
  taken(budget: u64): u64 {
    let sum: u64 = 0;
    for (let at = this.begin; at < this.end; at += changetype<Debt>(at).bytes) {
      const debt = changetype<Debt>(at);
      for (let i = 0; i < <i32>debt.count; i++)
        if (debt.budget(i) == budget) sum += debt.spent(i) + debt.reserved(i);
    }
    return sum;
  }

  /** A zeroed new entry at the end, or null when there is no room. */
  add(question: Slice): Debt | null {
    const bytes = bytesFor(lenOf(question));
    if (HEAD + this.size + bytes > <usize>DEBT_RECORD_MAX) return null;
    const debt = changetype<Debt>(this.end);
    memory.fill(changetype<usize>(debt), 0, bytes);
    debt.questionLength = lenOf(question);
    memory.copy(ptrOf(debt.question), ptrOf(question), lenOf(question));
    store<u32>(this.record, <u32>(this.size + bytes));
    return debt;
  }

  remove(debt: Debt): void {
    const at = changetype<usize>(debt);
    const bytes = debt.bytes;
    memory.copy(at, at + bytes, this.end - at - bytes);
    store<u32>(this.record, <u32>(this.size - bytes));
  }
}

/** "debt" and the record's number. */
function debtKey(to: usize, number: u32): Slice {
  store<u32>(to, 0x74626564);
  store<u32>(to, number, 4);
  return slice(to, 8);
}

/** Creates the records that are not there yet. Configuration only; false when the host has no room for them. */
export function createDebts(): bool {
  const key = heap.alloc(8);
  const empty = heap.alloc(HEAD);
  memory.fill(empty, 0, HEAD);
  let ok = true;
  for (let i: u32 = 0; ok && i < DEBT_RECORDS; i++)
    ok = sharedCreate(debtKey(key, i), slice(empty, <i32>HEAD));
  heap.free(empty);
  heap.free(key);
  return ok;
}
