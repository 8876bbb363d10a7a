// Messages with reports that are under way, one to each ledger: policies of one VM may have several, and one that does not answer
// must not hold up what is told to the others.
//
//  flight │ Flight │ what the message is about │
import { LEDGERS_MAX } from "../limits";
import { reserve } from "../memory";
import { Policy } from "../policy/policy";
import { forgetCallout } from "../proxy-wasm/callouts";
import { callLedger, Purpose } from "../sidecar";
import { Slice } from "../slice";

@unmanaged
export class Flight {
  /** Policy.ledgerTag of whom it went to. */
  ledger: u64;
  /** The policy whose root context gets the answer. */
  asked: usize;
  /** Of how many things the message tells. */
  count: i32;
  active: bool;
  /** It opens an entry (repay.ts), and does not report. */
  opening: bool;

  /** Notes of what the message is about. */
  get notes(): usize {
    return changetype<usize>(this) + offsetof<Flight>();
  }
}

export class Flights {
  private readonly size: usize;
  private readonly table: usize;

  /** `noteBytes`: of what the notes of one message take at most. */
  constructor(noteBytes: usize) {
    this.size = (offsetof<Flight>() + noteBytes + 7) & ~7;
    this.table = reserve(<usize>LEDGERS_MAX * this.size);
  }

  at(number: i32): Flight {
    return changetype<Flight>(this.table + <usize>number * this.size);
  }

  /** A free place for a message to a ledger; -1 where one is under way to it, or to as many others as can be. */
  place(ledger: u64): i32 {
    let free = -1;
    for (let i = 0; i < LEDGERS_MAX; i++) {
      if (!this.at(i).active) free = i;
      else if (this.at(i).ledger == ledger) return -1;
    }
    return free;
  }

  /** Sends `frame`, which tells of `count` things, as message `number` of `purpose`. */
  send(number: i32, policy: Policy, purpose: Purpose, count: i32, opening: bool, frame: Slice): void {
    const flight = this.at(number);
    flight.ledger = policy.ledgerTag;
    flight.asked = changetype<usize>(policy);
    flight.count = count;
    flight.opening = opening;
    flight.active = callLedger(policy, purpose, number, opening, frame);
  }

  /** Gives up a message of `policy`, with whose root context the answer goes; its number, or -1 when there is none left. */
  forget(policy: usize, purpose: Purpose): i32 {
    for (let i = 0; i < LEDGERS_MAX; i++) {
      const flight = this.at(i);
      if (!flight.active || flight.asked != policy) continue;
      forgetCallout(purpose, i);
      flight.active = false;
      return i;
    }
    return -1;
  }
}
