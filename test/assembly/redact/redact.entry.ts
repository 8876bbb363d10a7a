import { addPhrase, phraseTableBytes, usePhrases } from "../../../assembly/redact/phrases";
import { ANSWER_BYTES, blockedBy, countOf, follow, openAnswer } from "../../../assembly/redact/answer";
import { matchEnd, next } from "../../../assembly/redact/detect";
import { Extent, followExtent } from "../../../assembly/redact/extent";
import { outTo, overflow, setOutput } from "../../../assembly/redact/output";
import { feed, openRedactor, Redactor, REDACTOR_BYTES } from "../../../assembly/redact/redactor";
import { matchFrom, matchType, setView } from "../../../assembly/redact/view";
import { closeVault, createVaults, isEmpty, openVault } from "../../../assembly/redact/vault";
import { beginWhole, endWhole, isTooLong, redactWhole, unkept } from "../../../assembly/redact/whole";
import { openPassage, pass, PASSAGE_BYTES } from "../../../assembly/redact/passage";
import { reserve } from "../../../assembly/memory";
import { lenOf, ptrOf, slice } from "../../../assembly/slice";

import { Body, BODY_BYTES, endBody, feedBody, openBody } from "../../../assembly/redact/body";
import { flush, remember, rewrite } from "../../../assembly/redact/channels";
import { addPiece, clearPieces, createPieces, Piece } from "../../../assembly/redact/pieces";
import {
  ChannelSet,
  closeSet,
  createRecords,
  find,
  openSet,
  SET_BYTES,
} from "../../../assembly/redact/records";
import { openRestorer, restore, RESTORER_BYTES } from "../../../assembly/redact/restore";
import { seedSip } from "../../../assembly/redact/sip";

export { reserve } from "../../../assembly/memory";
export {
  closeSet,
  createRecords,
  endBody,
  feedBody,
  flush,
  openBody,
  openRestorer,
  openSet,
  restore,
  seedSip,
};
export { closeVault, createVaults, follow, isEmpty, openPassage, openVault, pass };
export { blockedBy, countOf, feed, openAnswer, openRedactor, setOutput };

export function sizes(which: i32): i32 {
  return which == 0
    ? ANSWER_BYTES
    : which == 1
      ? REDACTOR_BYTES
      : which == 2
        ? PASSAGE_BYTES
        : which == 3
          ? SET_BYTES
          : which == 4
            ? BODY_BYTES
            : RESTORER_BYTES;
}
/** Whether the last bracket of an answer has come with these bytes. */
export function isOver(extent: Extent, ptr: usize, len: i32): bool {
  return followExtent(extent, slice(ptr, len));
}
/** Whether `channel` holds text back. */
export function isHolding(set: ChannelSet, channel: u32): bool {
  const record = find(set, channel);
  return record != null && record.passage.isPending;
}
export function isCrowded(set: ChannelSet): bool {
  return set.isCrowded;
}
/** Keeps a template of the event too, as the filter does. `pieces`: `count` of Piece. */
export function rewriteEvent(
  set: ChannelSet,
  body: Body,
  ptr: usize,
  len: i32,
  pieces: usize,
  count: i32,
): bool {
  createPieces();
  clearPieces();
  for (let i = 0; i < count; i++) {
    const piece = changetype<Piece>(pieces + <usize>i * offsetof<Piece>());
    addPiece(piece.channel, piece.start, piece.end);
  }
  if (!rewrite(set, body, slice(ptr, len), 0)) return false;
  for (let i = 0; i < count; i++) if (!remember(set, slice(ptr, len), i)) return false;
  return true;
}
/** Redacts `count` texts of a body, each | start u32 | end u32 | escaped u32 |; the new body's slice, 0 when it does not fit. */
export function whole(
  answer: usize,
  ptr: usize,
  len: i32,
  texts: usize,
  count: i32,
  work: usize,
  to: usize,
  capacity: i32,
): u64 {
  usePhrases(phrases);
  beginWhole(answer, slice(ptr, len), to, capacity);
  for (let i = 0; i < count; i++) {
    const at = texts + <usize>(12 * i);
    const start = load<u32>(at);
    redactWhole(slice(ptr + start, load<u32>(at, 4) - start), load<u32>(at, 8) != 0, work);
  }
  const body = endWhole();
  return isTooLong() ? 0 : slice(ptrOf(body), lenOf(body));
}
export function wasUnkept(): bool {
  return unkept;
}
/** Raw bytes that are held back. */
export function heldIn(redactor: Redactor): i32 {
  return redactor.heldLength;
}
export function written(): usize {
  return outTo;
}
export function overflowed(): bool {
  return overflow;
}
const phrases = reserve(phraseTableBytes(256));

export function phrase(ptr: usize, len: i32, type: i32, action: u8): bool {
  usePhrases(phrases);
  return addPhrase(phrases, slice(ptr, len), type, action, reserve(len));
}

/** Lists up to `max` spans of the text as (start, end, type) u32 triples, byte offsets; returns how many. */
export function spans(ptr: usize, len: i32, to: usize, max: i32): i32 {
  setView(ptr, ptr + len, true);
  let n = 0;
  let p = ptr;
  while (n < max && next(p, 0)) {
    p = matchEnd();
    const at = to + 12 * n++;
    store<u32>(at, <u32>(matchFrom - ptr));
    store<u32>(at, <u32>(p - ptr), 4);
    store<u32>(at, <u32>matchType, 8);
  }
  return n;
}
