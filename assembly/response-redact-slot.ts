// What is known of one answer that is being redacted: a slot of a fixed pool, taken while its request can still be refused.
//
//   slot: | fields 24 | extent 8 | answer (redact/answer.ts) | set (redact/records.ts) | body (redact/body.ts) |
import { reserve } from "./memory";
import { Tier } from "./policy/policy";
import { actionOf, ANSWER_BYTES, blockedBy, countOf, follow, openAnswer } from "./redact/answer";
import { Body, BODY_BYTES, openBody } from "./redact/body";
import { Written } from "./redact/decoded";
import { Extent, EXTENT_BYTES } from "./redact/extent";
import { extend, put, setOutput } from "./redact/output";
import { openPassage } from "./redact/passage";
import { createPieces } from "./redact/pieces";
import { ChannelSet, closeSet, createRecords, openSet, recordsOf, SET_BYTES } from "./redact/records";
import { BLOCK, FLAG, RECORDS_MAX, REDACTED_MAX, TYPE_COUNT } from "./redact/types";
import { closeVault, createVaults } from "./redact/vault";
import { Form } from "./media-type";
import { WITHHELD_MAX, withheldBody, withheldEvent, withheldLine } from "./response-withhold";
import { endOf, ptrOf, Slice } from "./slice";
import { Reason } from "./verdicts.gen";

@unmanaged
export class Redaction {
  next: u32;
  tier: u32;
  form: u8;
  /** Some of the answer has gone to the client. */
  begun: bool;
  /** The piece before ended inside an event. */
  inEvent: bool;
  /** Reason.None, or why nothing more of the answer may pass. */
  withheldByte: u8;
  /** The prompt's originals (redact/vault.ts), or 0. */
  vault: u32;
  /** 1 and the channels that ended within an event in parts, which come out after it; 0: none. */
  ending: u32;
  /** The answer's first byte, and how many of its first two have come. */
  first: u8;
  headLength: u8;
  /** It is known whether what is called text is JSON; and the bracket that it begins with. */
  told: bool;
  opened: u8;

  /** How much of a JSON answer has come that is held whole. */
  get extent(): Extent {
    return changetype<Extent>(changetype<usize>(this) + EXTENT_AT);
  }
  get answer(): usize {
    return changetype<usize>(this) + ANSWER_AT;
  }
  get set(): ChannelSet {
    return changetype<ChannelSet>(changetype<usize>(this) + SET_AT);
  }
  get body(): Body {
    return changetype<Body>(changetype<usize>(this) + BODY_AT);
  }
  /** Something must not leave, so that nothing may pass unread; else only originals are put back. */
  get acts(): bool {
    return changetype<Tier>(<usize>this.tier).redacts;
  }
  /** The answer comes in events, of which texts go on in the next. */
  get streams(): bool {
    return this.form == Form.Events || this.form == Form.Lines;
  }
  get withheld(): Reason {
    return <Reason>this.withheldByte;
  }
}

const EXTENT_AT: usize = 24;
const ANSWER_AT: usize = EXTENT_AT + EXTENT_BYTES;
const SET_AT: usize = ANSWER_AT + <usize>ANSWER_BYTES;
const BODY_AT: usize = SET_AT + <usize>SET_BYTES;
const SLOT_BYTES: usize = (BODY_AT + <usize>BODY_BYTES + 15) & ~15;

/** What one callback may put out. */
export const OUTPUT_BYTES: i32 = 2 << 20;

let free: u32 = 0;
let freeCount: i32 = 0;
let output: usize = 0;
let vaults: bool = false;

/** Makes room for all answers that are redacted at a time. At configuration; once is enough. */
export function createSlots(): void {
  if (output) return;
  output = reserve(OUTPUT_BYTES + WITHHELD_MAX);
  createRecords(RECORDS_MAX);
  createPieces();
  for (let i = 0; i < REDACTED_MAX; i++) {
    const slot = reserve(SLOT_BYTES);
    store<u32>(slot, free);
    free = <u32>slot;
  }
  freeCount = REDACTED_MAX;
}

/** Makes room for the originals that are put back. At configuration; once is enough. */
export function createOriginals(): void {
  if (vaults) return;
  vaults = true;
  // Each is of an answer that is being redacted, but for the one of the prompt at hand.
  createVaults(REDACTED_MAX + 1);
}

/** Slots that nobody has. */
export function redactionsFree(): i32 {
  return freeCount;
}

/** Channels of its events that the answer has open. */
export function channelsOf(redaction: Redaction): i32 {
  return recordsOf(redaction.set);
}

/** A slot for the answer to a request of `tier`, or null when REDACTED_MAX are in use. */
export function openRedaction(tier: Tier): Redaction | null {
  if (free == 0) return null;
  const redaction = changetype<Redaction>(<usize>free);
  free = redaction.next;
  freeCount--;
  memory.fill(changetype<usize>(redaction), 0, SLOT_BYTES);
  redaction.tier = <u32>changetype<usize>(tier);
  openAnswer(redaction.answer, tier.redactions, 0);
  openSet(redaction.set, redaction.answer);
  return redaction;
}

/** Gives the slot back; what is still held is forgotten. */
export function closeRedaction(redaction: Redaction): void {
  closeSet(redaction.set);
  if (redaction.vault) closeVault(<usize>redaction.vault);
  memory.fill(changetype<usize>(redaction), 0, SLOT_BYTES);
  redaction.next = free;
  free = <u32>changetype<usize>(redaction);
  freeCount++;
}

/** The prompt was redacted, with the numbers of `prompt` (redact/answer.ts); its originals, if any, are in `vault`. */
export function followPrompt(redaction: Redaction, prompt: usize, vault: usize): void {
  redaction.vault = <u32>vault;
  follow(redaction.answer, prompt, vault);
}

/** The answer's form is known. */
export function beginRedaction(redaction: Redaction, form: Form): void {
  redaction.form = <u8>form;
  openBody(redaction.body, redaction.answer);
  // Plain text has no strings: its one channel takes the place of a string's.
  if (form == Form.Text) openPassage(redaction.body.text, redaction.answer, Written.Plain);
  redaction.body.lines = form == Form.Lines;
}

/** Matches so far that were only flagged, or (otherwise) replaced. */
export function matchesOf(redaction: Redaction, flagged: bool): u32 {
  let total: u32 = 0;
  for (let type = 0; type < TYPE_COUNT; type++) {
    const action = actionOf(redaction.answer, type);
    if (action != BLOCK && (action == FLAG) == flagged) total += countOf(redaction.answer, type);
  }
  return total;
}

/** What is put out from now on goes into the one buffer, from its start. */
export function beginOutput(): void {
  setOutput(output, OUTPUT_BYTES);
}

/** Lets nothing more of the answer pass; what is sent in its place is put out. */
export function withhold(redaction: Redaction, reason: Reason): void {
  if (redaction.withheld != Reason.None) return;
  redaction.withheldByte = <u8>reason;
  const type = blockedBy(redaction.answer);
  let text: Slice;
  if (redaction.form == Form.Events) text = withheldEvent(reason, type, redaction.inEvent);
  else if (redaction.form == Form.Lines) text = withheldLine(reason, type, redaction.inEvent);
  else {
    // Of a body that has begun nothing valid can be made: it breaks off.
    beginOutput();
    if (redaction.begun) return;
    text = withheldBody(reason, type);
  }
  // Once for an output: a client must hear of it, however full that is.
  extend(WITHHELD_MAX);
  put(ptrOf(text), endOf(text));
}

/** The answer's tokens, one by one, say it all again. */
export function bringsTokens(redaction: Redaction): bool {
  return redaction.acts && redaction.body.hasTokens;
}
