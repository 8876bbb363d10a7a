// The way in, where a prompt holds what must not go upstream: the body is written anew without it before anything else
// looks at it, so what is inspected, counted and sent is one and the same. Goes on from request.ts; same rules.
//
// Every string of the body is looked at but identifiers of the API and binary data (inspect/prompt.ts); names of members too,
// and the members that name the caller to the provider. What is to be put back into the answer is remembered in a vault
// that belongs to the stream from here on (response-redact-slot.ts).
import { because } from "./deny";
import { mayTell } from "./inspect/prompt";
import { count, Metric } from "./metrics";
import { Tier } from "./policy/policy";
import { arenaTake } from "./proxy-wasm/arena";
import { nginx } from "./proxy-wasm/kind";
import { actionOf, ANSWER_BYTES, blockedBy, countOf, openAnswer } from "./redact/answer";
import { usePhrases } from "./redact/phrases";
import { FLAG, TYPE_COUNT } from "./redact/types";
import { closeVault, isEmpty, openVault } from "./redact/vault";
import { beginWhole, endWhole, isTooLong, redactWhole, skipNumbers, unkept } from "./redact/whole";
import { bodyTooLarge, promptBlocked, redactedTwice, tooManyOriginals } from "./refusals";
import { readBody, tape, work } from "./request-body";
import { followPrompt, openRedaction, Redaction } from "./response-redact-slot";
import { is, lenOf, NONE, ptrOf, slice, Slice } from "./slice";
import { reserve } from "./memory";
import { Stream } from "./stream";
import { Reason } from "./verdicts.gen";

/** The numbers and counts of the prompt at hand, which its answer goes on with. */
export const found: usize = reserve(ANSWER_BYTES);
/** The body without what must not go upstream, in the arena; the body itself when there was nothing. */
export let redacted: Slice = NONE;

/** Redacts the body on the tape as `tier` says; if that changes it, the tape and the prompt are those of `redacted`. */
export function redactPrompt(stream: Stream, tier: Tier, body: Slice): Reason {
  const vault = tier.restores ? openVault() : 0;
  const reason = rewritten(stream, tier, body, vault);
  if (reason == Reason.None) {
    stream.guarded = redacted != body;
    const restores = vault != 0 && !isEmpty(vault);
    // What the answer adds is numbered from above what the prompt has, whoever wrote it there.
    if (restores || tier.redacts) skipNumbers();
    if (restores) return remember(stream, tier, vault);
  }
  if (vault) closeVault(vault);
  return reason == Reason.None && tier.redacts ? remember(stream, tier, 0) : reason;
}

function rewritten(stream: Stream, tier: Tier, body: Slice, vault: usize): Reason {
  redacted = body;
  const room = <i32>tier.bytesMax;
  const to = arenaTake(<usize>room);
  if (!to) return bodyTooLarge(tier);
  openAnswer(found, tier.promptRedactions, vault);
  usePhrases(tier.promptPhrases);
  beginWhole(found, body, to, room);
  const blocked = redactTexts();
  if (blocked >= 0) return promptBlocked(tape, blocked, blockedBy(found));
  const text = endWhole();
  if (isTooLong()) return bodyTooLarge(tier);
  if (unkept) return tooManyOriginals();
  countMatches();
  if (text == body) return Reason.None;
  redacted = nginx ? padded(text, lenOf(body)) : text;
  // Two names of members may have become one.
  return readBody(stream, redacted) == 0 ? Reason.None : redactedTwice();
}

/** Redacts text after text; returns the node at which a text is blocked, or -1. */
function redactTexts(): i32 {
  for (let n = 0; n < tape.length; n++) {
    // The node before a member's value is its name.
    const isName = n + 1 < tape.length && tape.key(n + 1) != NONE;
    if (!isName && !(tape.isString(n) && (mayTell(tape, n) || namesCaller(n)))) continue;
    redactWhole(tape.raw(n), tape.escaped(n), work);
    if (blockedBy(found) >= 0) return isName ? n + 1 : n;
  }
  return -1;
}

/** Identifiers to the provider, which may be personal all the same. An element of an array is what the array's name says. */
function namesCaller(n: i32): bool {
  const key = tape.key(n) != NONE ? tape.key(n) : tape.key(tape.parent(n));
  return is(key, "user") || is(key, "safety_identifier") || is(key, "prompt_cache_key");
}

/** nginx cannot always change a body's length after a pause: a shorter one ends in spaces. */
function padded(text: Slice, length: i32): Slice {
  const missing = length - lenOf(text);
  if (missing <= 0) return text;
  memory.fill(ptrOf(text) + lenOf(text), 32, missing);
  return slice(ptrOf(text), length);
}

/** The stream keeps what its answer will need. */
function remember(stream: Stream, tier: Tier, vault: usize): Reason {
  const open = stream.redaction ? changetype<Redaction>(stream.redaction) : openRedaction(tier);
  if (open == null) {
    if (vault) closeVault(vault);
    because().text("This proxy is redacting as many answers as it can.");
    return Reason.Overloaded;
  }
  stream.redaction = changetype<usize>(open);
  followPrompt(open, found, vault);
  return Reason.None;
}

function countMatches(): void {
  let replaced = 0;
  let flagged = 0;
  for (let type = 0; type < TYPE_COUNT; type++) {
    if (actionOf(found, type) == FLAG) flagged += countOf(found, type);
    else replaced += countOf(found, type);
  }
  if (replaced) count(Metric.PromptRedacted, replaced);
  if (flagged) count(Metric.PromptFlagged, flagged);
}
