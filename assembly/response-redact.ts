// Redacts one answer as it passes, whichever form it has: the texts that usage/ finds in the events of a stream go
// through redact/'s channels, a JSON body or plain text through its own reader.
//
// Everything one answer needs is a slot of a fixed pool, taken while its request can still be refused. What cannot be
// followed (what is no JSON where JSON should be, tokens one by one, more channels than there are records, an event that
// leaves no template, no room) is withheld, never let through. nginx takes nothing after an answer's last bytes, so text that is still held then is lost there: only
// plain text without a content-length, a last line of JSON without an end, or a stream that breaks off, can hold any. Memory, once a policy redacts: REDACTED_MAX × 4.1 KB, RECORDS_MAX × 4.4 KB and OUTPUT_BYTES.
//
//   slot: | fields 24 | answer (redact/answer.ts) | set (redact/channels.ts) | body (redact/body.ts) |
import { reserve } from "./memory";
import { Tier } from "./policy/policy";
import { actionOf, ANSWER_BYTES, blockedBy, countOf, follow, marksOf, openAnswer } from "./redact/answer";
import {
  BODY_BYTES,
  endBody,
  feedBody,
  hasTokens,
  isOddBody,
  openBody,
  restartBody,
  TEXT_AT,
} from "./redact/body";
import {
  allowRecords,
  channelAt,
  CHANNELS_MAX,
  closeSet,
  createRecords,
  flush,
  isCrowded,
  isRemembered,
  KIND_SHIFT,
  LAST_PIECE,
  NO_CHANNEL,
  openSet,
  recordsOf,
  remember,
  rememberBeginning,
  rewrite,
  roomForFlush,
  SET_BYTES,
  UNTOUCHED,
  WHOLE_JSON,
  WHOLE_TEXT,
} from "./redact/channels";
import { expectLines } from "./redact/event";
import { advance } from "./redact/marks";
import { outFrom, outTo, overflow, put, rewind, room, setOutput } from "./redact/output";
import { openPassage, pass } from "./redact/passage";
import { usePhrases } from "./redact/phrases";
import { PLAIN } from "./redact/restore";
import { makeBeginning } from "./redact/template";
import {
  BLOCK,
  FLAG,
  PIECE_BYTES,
  RECORDS_MAX,
  REDACTED_MAX,
  TEMPLATE_MAX,
  TYPE_COUNT,
} from "./redact/types";
import { closeVault, createVaults } from "./redact/vault";
import { Form } from "./media-type";
import { withheldBody, withheldEvent, withheldLine } from "./response-withhold";
import { endOf, lenOf, ptrOf, Slice, slice } from "./slice";
import {
  ALL,
  Channel,
  ENDS,
  feed,
  hidesUsage,
  isUnfollowed,
  NESTED,
  nextPiece,
  piece,
  pieces,
  spanChannel,
  spanCount,
  spanFlags,
  spanFrom,
  spanTo,
  WHOLE,
} from "./usage/usage";
import { Reason } from "./verdicts.gen";

@unmanaged
export class Redaction {
  next: u32;
  tier: u32;
  form: u8;
  /** Some of the answer has gone to the client. */
  begun: bool;
  /** The piece before ended inside a line. */
  inLine: bool;
  /** Reason.None, or why nothing more of the answer may pass. */
  withheldByte: u8;
  /** The prompt's originals (redact/vault.ts), or 0. */
  vault: u32;
  /** 1 and the channels that ended within an event in parts, which come out after it; 0: none. */
  ending: u32;

  get answer(): usize {
    return changetype<usize>(this) + ANSWER_AT;
  }
  get set(): usize {
    return changetype<usize>(this) + SET_AT;
  }
  get body(): usize {
    return changetype<usize>(this) + BODY_AT;
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

const ANSWER_AT: usize = 24;
const SET_AT: usize = ANSWER_AT + <usize>ANSWER_BYTES;
const BODY_AT: usize = SET_AT + <usize>SET_BYTES;
const SLOT_BYTES: usize = (BODY_AT + <usize>BODY_BYTES + 15) & ~15;

/** What one callback may put out. */
export const OUTPUT_BYTES: i32 = 2 << 20;
/** Pieces in one event; the texts of an event are fewer (usage/spans.ts). */
const PIECES_MAX: i32 = 4224;
/** Channels of one event of which the last text is known. */
const LAST_MAX: i32 = 16;
/** The channel that ends all others. */
const EVERYTHING: u32 = (ALL << 14) | ALL;
const LF: u32 = 10;
const CR: u32 = 13;

let free: u32 = 0;
let freeCount: i32 = 0;
let output: usize = 0;
let list: usize = 0;
let ended: usize = 0;
let beginning: usize = 0;
let vaults: bool = false;

/** Makes the pools. At configuration; once is enough. */
export function createRedactions(): void {
  if (output) return;
  output = reserve(OUTPUT_BYTES);
  list = reserve(PIECES_MAX * PIECE_BYTES);
  ended = reserve(LAST_MAX << 2);
  beginning = reserve(TEMPLATE_MAX);
  createRecords(RECORDS_MAX);
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
  if (form == Form.Text) openPassage(redaction.body + TEXT_AT, redaction.answer, PLAIN);
  if (form == Form.Lines) expectLines(redaction.body);
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

/**
 * The bytes to send on for `chunk`, which are ours until the next call. `handle`: the usage reader, or -1; `hide`: the
 * extra usage event is not for the client; `channels`: so many more may be open.
 */
export function redactChunk(
  redaction: Redaction,
  handle: i32,
  chunk: Slice,
  last: bool,
  hide: bool,
  channels: i32,
): Slice {
  allowRecords(channels);
  usePhrases(changetype<Tier>(<usize>redaction.tier).phrases);
  setOutput(output, OUTPUT_BYTES);
  if (redaction.streams) events(redaction, handle, chunk, last, hide);
  else {
    if (handle >= 0) feed(handle, chunk, last);
    if (redaction.withheld == Reason.None) whole(redaction, chunk, last);
  }
  if (outTo > outFrom) redaction.begun = true;
  const length = <i32>(outTo - outFrom);
  advance(marksOf(redaction.answer), length);
  return slice(outFrom, length);
}

/** Lets nothing more of the answer pass; what is sent in its place is put out. */
export function withhold(redaction: Redaction, reason: Reason): void {
  if (redaction.withheld != Reason.None) return;
  redaction.withheldByte = <u8>reason;
  const type = blockedBy(redaction.answer);
  let text: Slice;
  if (redaction.form == Form.Events) text = withheldEvent(reason, type, redaction.inLine);
  else if (redaction.form == Form.Lines) text = withheldLine(reason, type, redaction.inLine);
  else {
    // Of a body that has begun nothing valid can be made: it breaks off.
    setOutput(output, OUTPUT_BYTES);
    if (redaction.begun) return;
    text = withheldBody(reason, type);
  }
  put(ptrOf(text), endOf(text));
}

/** The bytes to send on when the host could not hand a chunk over. */
export function withholdChunk(redaction: Redaction): Slice {
  setOutput(output, OUTPUT_BYTES);
  withhold(redaction, Reason.AnswerUnreadable);
  return slice(outFrom, <i32>(outTo - outFrom));
}

/** A JSON body or plain text. */
function whole(redaction: Redaction, chunk: Slice, last: bool): void {
  const body = redaction.body;
  const len = lenOf(chunk);
  if (redaction.form == Form.Text) {
    if (pass(body + TEXT_AT, ptrOf(chunk), len, last) < len) withhold(redaction, Reason.AnswerUnreadable);
  } else {
    let at = 0;
    while (at < len) {
      const taken = feedBody(body, ptrOf(chunk) + at, len - at);
      if (taken == 0) break;
      at += taken;
    }
    if (at < len || (redaction.acts && isOddBody(body))) withhold(redaction, Reason.AnswerUnreadable);
    else if (last) endBody(body);
  }
  check(redaction);
}

function check(redaction: Redaction): void {
  if (blockedBy(redaction.answer) >= 0) withhold(redaction, Reason.AnswerBlocked);
  else if (bringsTokens(redaction)) withhold(redaction, Reason.AnswerUnreadable);
  else if (overflow || isCrowded(redaction.set)) withhold(redaction, Reason.AnswerUnreadable);
}

/** The answer's tokens, one by one, say it all again. */
function bringsTokens(redaction: Redaction): bool {
  return redaction.acts && hasTokens(redaction.body);
}

function events(redaction: Redaction, handle: i32, chunk: Slice, last: bool, hide: bool): void {
  pieces(handle, chunk, last);
  while (nextPiece()) {
    // An answer that is withheld is still read for its usage.
    if (redaction.withheld != Reason.None || (hide && hidesUsage())) continue;
    if (redaction.acts && isUnfollowed(handle)) withhold(redaction, Reason.AnswerUnreadable);
    else event(redaction, piece());
    check(redaction);
  }
  if (!last || redaction.withheld != Reason.None) return;
  for (let i = 0; i < CHANNELS_MAX; i++) end(redaction, channelAt(redaction.set, i));
  check(redaction);
}

/** One event, or a part of one that is too long to be held. */
function event(redaction: Redaction, bytes: Slice): void {
  const begins = !redaction.inLine;
  const single = redaction.form == Form.Lines;
  const ends = endsEvent(bytes, single);
  const wholeEvent = begins && ends;
  const count = listTexts(redaction, bytes, begins, wholeEvent);
  finishChannels(redaction, count);
  // What ends here may be what blocks: then clients are not told that the answer is complete.
  if (blockedBy(redaction.answer) >= 0) return;
  const from = outTo;
  if (!rewrite(redaction.set, redaction.body, bytes, list, count) || overflow) {
    // Of an event that does not fit, nothing goes out.
    rewind(from);
    withhold(redaction, Reason.AnswerUnreadable);
    return;
  }
  // What found no record was not held against what follows it: of that event, too, nothing goes out.
  if (blockedBy(redaction.answer) >= 0 || bringsTokens(redaction) || isCrowded(redaction.set)) {
    rewind(from);
    return;
  }
  const ending = load<u8>(endOf(bytes) - 1);
  redaction.inLine = ending != LF && ending != CR;
  if (!redaction.inLine) restartBody(redaction.body);
  if (!wholeEvent) {
    for (let i = 0; begins && i < count; i++) rememberBeginning(redaction.set, bytes, list, i, single);
    if (ends) endLater(redaction);
    return;
  }
  for (let i = 0; i < count; i++) {
    if (!remember(redaction.set, bytes, list, count, i)) {
      withhold(redaction, Reason.AnswerUnreadable);
      return;
    }
  }
}

/** Whether an empty line is at the end of `bytes`; of a `single` line, its own end. */
function endsEvent(bytes: Slice, single: bool): bool {
  let end = endOf(bytes);
  const from = ptrOf(bytes);
  if (end == from || !isLineEnd(load<u8>(end - 1))) return false;
  if (single) return true;
  end -= end - 1 > from && load<u8>(end - 1) == LF && load<u8>(end - 2) == CR ? 2 : 1;
  return end > from && isLineEnd(load<u8>(end - 1));
}

function isLineEnd(b: u32): bool {
  return b == LF || b == CR;
}

/** Lists the texts of the piece that was read last; returns their number. `begins`: whether it begins its event. */
function listTexts(redaction: Redaction, bytes: Slice, begins: bool, wholeEvent: bool): i32 {
  let count = 0;
  for (let i = 0; i < spanCount && count < PIECES_MAX; i++) {
    let channel = spanChannel(i);
    const kind = channel >> KIND_SHIFT;
    if (kind == <u32>Channel.End) continue;
    const flags = spanFlags(i);
    const at = list + <usize>(count * PIECE_BYTES);
    store<u32>(at, <u32>(spanFrom(i) - ptrOf(bytes)), 4);
    store<u32>(at, <u32>(spanTo(i) - ptrOf(bytes)), 8);
    if (kind == <u32>Channel.Data) channel = UNTOUCHED;
    else {
      if (flags & WHOLE) channel = flags & NESTED ? WHOLE_JSON : WHOLE_TEXT;
      if (
        (flags & ENDS) != 0 &&
        (flags & WHOLE || !(wholeEvent || goesOn(redaction, bytes, channel, begins, count)))
      )
        channel |= LAST_PIECE;
    }
    store<u32>(at, channel);
    count++;
  }
  return count;
}

/** Whether what the text of piece `which`, in an event in parts, holds back can come out later; else it does so at its end. */
function goesOn(redaction: Redaction, bytes: Slice, channel: u32, begins: bool, which: i32): bool {
  if (isRemembered(redaction.set, channel)) return true;
  return begins && makeBeginning(bytes, list, which, redaction.form == Form.Lines, beginning) >= 0;
}

/**
 * What ends with this event must be out by then: with the last text of its channel in the event itself, or in an event
 * before it. Within an event in parts there is no place for another: then it is after it.
 */
function finishChannels(redaction: Redaction, count: i32): void {
  for (let i = 0; i < spanCount; i++) {
    const ending = spanChannel(i);
    if (ending >> KIND_SHIFT != <u32>Channel.End) continue;
    const marked = markLast(ending, count);
    for (let n = 0; n < CHANNELS_MAX; n++) {
      const channel = channelAt(redaction.set, n);
      if (!belongs(channel, ending) || isMarked(channel, marked)) continue;
      if (!redaction.inLine) end(redaction, channel);
      else if (redaction.ending == 0 || redaction.ending == ending + 1) redaction.ending = ending + 1;
      else redaction.ending = EVERYTHING + 1;
    }
  }
}

/** The event in parts is over: what ended within it comes out. */
function endLater(redaction: Redaction): void {
  if (redaction.ending == 0) return;
  for (let n = 0; n < CHANNELS_MAX; n++) {
    const channel = channelAt(redaction.set, n);
    if (belongs(channel, redaction.ending - 1)) end(redaction, channel);
  }
  redaction.ending = 0;
}

function belongs(channel: u32, ending: u32): bool {
  if (channel == NO_CHANNEL || channel >= WHOLE_TEXT) return false;
  const major = (ending >> 14) & ALL;
  const minor = ending & ALL;
  return (major == ALL || major == ((channel >> 14) & ALL)) && (minor == ALL || minor == (channel & ALL));
}

/** Marks the last piece of each channel that ends with `ending`; returns how many channels that are. */
function markLast(ending: u32, count: i32): i32 {
  let marked = 0;
  for (let i = count - 1; i >= 0; i--) {
    const at = list + <usize>(i * PIECE_BYTES);
    const channel = load<u32>(at) & ~LAST_PIECE;
    if (!belongs(channel, ending) || isMarked(channel, marked)) continue;
    store<u32>(at, channel | LAST_PIECE);
    if (marked == LAST_MAX) continue;
    store<u32>(ended + ((<usize>marked) << 2), channel);
    marked++;
  }
  return marked;
}

function isMarked(channel: u32, marked: i32): bool {
  for (let i = 0; i < marked; i++) if (load<u32>(ended + ((<usize>i) << 2)) == channel) return true;
  return false;
}

function end(redaction: Redaction, channel: u32): void {
  if (channel == NO_CHANNEL) return;
  if (room() < roomForFlush()) withhold(redaction, Reason.AnswerUnreadable);
  else flush(redaction.set, channel);
}
