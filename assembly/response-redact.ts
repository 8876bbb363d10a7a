// Redacts one answer as it passes, whichever form it has: the texts that usage/ finds in the events of a stream go
// through redact/'s channels (response-redact-event.ts), a JSON body or plain text through its own reader.
//
// What cannot be followed (what is no JSON where JSON should be, tokens one by one, more channels than there are records, an event that
// leaves no template, no room) is withheld, never let through. nginx takes nothing after an answer's last bytes, so text that is still held
// then is lost there: only plain text without a content-length, a last line of JSON without an end, or a stream that breaks off, can hold
// any. Memory, once a policy redacts: REDACTED_MAX × 4.1 KB, RECORDS_MAX × 4.4 KB and OUTPUT_BYTES.
import { Tier } from "./policy/policy";
import { blockedBy, marksOf } from "./redact/answer";
import { endBody, feedBody } from "./redact/body";
import { has, SPACE } from "./redact/chars";
import { Written } from "./redact/decoded";
import { Literal, nextLiteral } from "./redact/literal";
import { advance } from "./redact/marks";
import { outFrom, outTo, overflow } from "./redact/output";
import { pass, readAs } from "./redact/passage";
import { usePhrases } from "./redact/phrases";
import { allowRecords } from "./redact/records";
import { Form } from "./media-type";
import { endChannels, redactEvent } from "./response-redact-event";
import { beginOutput, bringsTokens, Redaction, withhold } from "./response-redact-slot";
import { endOf, lenOf, ptrOf, Slice, slice } from "./slice";
import { feed, hidesUsage, isUnfollowed, nextPiece, piece, pieces, State } from "./usage/usage";
import { Reason } from "./verdicts.gen";

const HEAD_BYTES: u8 = 2;
const BRACE: u32 = 123;
const BRACE_END: u32 = 125;
const BRACKET: u32 = 91;
const QUOTE: u32 = 34;

/**
 * The bytes to send on for `chunk`, which are ours until the next call. `answer`: what is read of it; `hide`: the
 * extra usage event is not for the client; `channels`: so many more may be open.
 */
export function redactChunk(
  redaction: Redaction,
  answer: State | null,
  chunk: Slice,
  last: bool,
  hide: bool,
  channels: i32,
): Slice {
  allowRecords(channels);
  usePhrases(changetype<Tier>(<usize>redaction.tier).phrases);
  beginOutput();
  if (redaction.headLength < HEAD_BYTES) readHead(redaction, chunk);
  if (redaction.form == Form.Text && !redaction.told) tellJson(redaction, chunk);
  if (redaction.streams) events(redaction, answer!, chunk, last, hide);
  else {
    if (answer != null) feed(answer, chunk, last);
    if (redaction.withheld == Reason.None) whole(redaction, chunk, last);
  }
  if (outTo > outFrom) redaction.begun = true;
  const length = <i32>(outTo - outFrom);
  advance(marksOf(redaction.answer), length);
  return slice(outFrom, length);
}

/**
 * Whether characters have more than a byte (UTF-16, UTF-32), so that no text is found in them, shows in the answer's first two bytes,
 * whatever its type says.
 */
function readHead(redaction: Redaction, chunk: Slice): void {
  for (let i = 0; i < lenOf(chunk) && redaction.headLength < HEAD_BYTES; i++) {
    const b = load<u8>(ptrOf(chunk) + i);
    const first = redaction.first;
    if (redaction.headLength++ == 0) redaction.first = b;
    // A byte order mark is FE FF, or the other way round.
    const isMark = redaction.headLength == HEAD_BYTES && (first ^ b) == 1 && (first | b) == 0xff;
    if (redaction.acts && (b == 0 || isMark)) withhold(redaction, Reason.AnswerUnreadable);
  }
}

/**
 * Whether what is called text is JSON, in which escapes stand for others, shows in its first two bytes that are neither blanks nor a byte
 * order mark: text may well begin with a bracket, as one with a placeholder does.
 */
function tellJson(redaction: Redaction, chunk: Slice): void {
  for (let p = ptrOf(chunk); p < endOf(chunk); p++) {
    const b = <u32>load<u8>(p);
    if (has(b, SPACE) || b == 0xef || b == 0xbb || b == 0xbf) continue;
    const opened = <u32>redaction.opened;
    if (opened == 0 && (b == BRACE || b == BRACKET)) {
      redaction.opened = <u8>b;
      continue;
    }
    redaction.told = true;
    if (opened != 0 && mayFollow(opened, b)) readAs(redaction.body.text, Written.Quoted);
    return;
  }
}

/** Whether `b` may come behind the bracket `opened` in JSON. */
function mayFollow(opened: u32, b: u32): bool {
  if (b == QUOTE) return true;
  return opened == BRACE ? b == BRACE_END : nextLiteral(Literal.None, b) != Literal.Odd;
}

/** The bytes to send on when the host could not hand a chunk over. */
export function withholdChunk(redaction: Redaction): Slice {
  beginOutput();
  withhold(redaction, Reason.AnswerUnreadable);
  return slice(outFrom, <i32>(outTo - outFrom));
}

/** A JSON body or plain text. */
function whole(redaction: Redaction, chunk: Slice, last: bool): void {
  const body = redaction.body;
  const len = lenOf(chunk);
  if (redaction.form == Form.Text) {
    if (pass(body.text, ptrOf(chunk), len, last) < len) withhold(redaction, Reason.AnswerUnreadable);
  } else {
    let at = 0;
    while (at < len) {
      const taken = feedBody(body, ptrOf(chunk) + at, len - at);
      if (taken == 0) break;
      at += taken;
    }
    if (at < len || (redaction.acts && body.isOdd)) withhold(redaction, Reason.AnswerUnreadable);
    else if (last) endBody(body);
  }
  check(redaction);
}

function events(redaction: Redaction, answer: State, chunk: Slice, last: bool, hide: bool): void {
  pieces(answer, chunk, last);
  while (nextPiece()) {
    // An answer that is withheld is still read for its usage.
    if (redaction.withheld != Reason.None || (hide && hidesUsage())) continue;
    if (redaction.acts && isUnfollowed(answer)) withhold(redaction, Reason.AnswerUnreadable);
    else redactEvent(redaction, piece());
    check(redaction);
  }
  if (!last || redaction.withheld != Reason.None) return;
  endChannels(redaction);
  check(redaction);
}

function check(redaction: Redaction): void {
  if (blockedBy(redaction.answer) >= 0) withhold(redaction, Reason.AnswerBlocked);
  else if (bringsTokens(redaction)) withhold(redaction, Reason.AnswerUnreadable);
  else if (overflow || redaction.set.isCrowded) withhold(redaction, Reason.AnswerUnreadable);
}
