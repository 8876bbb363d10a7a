import { addPhrase, phraseTableBytes, usePhrases } from "../../../assembly/redact/phrases";
import { ANSWER_BYTES, blockedBy, countOf, openAnswer } from "../../../assembly/redact/answer";
import { matchEnd, next } from "../../../assembly/redact/detect";
import { outTo, overflow, setOutput } from "../../../assembly/redact/output";
import { feed, heldIn, openChannel, RECORD_BYTES } from "../../../assembly/redact/redactor";
import { matchFrom, matchType, setView } from "../../../assembly/redact/view";
import { clearVault, VAULT_BYTES } from "../../../assembly/redact/vault";
import { reserve } from "../../../assembly/memory";
import { slice } from "../../../assembly/slice";

import { BODY_BYTES, endBody, feedBody, openBody } from "../../../assembly/redact/body";
import {
  closeSet,
  createRecords,
  flush,
  isCrowded,
  isHolding,
  openSet,
  remember,
  rewrite,
  SET_BYTES,
} from "../../../assembly/redact/channels";
import { openRestorer, restore, RESTORER_BYTES } from "../../../assembly/redact/restore";
import { seedSip } from "../../../assembly/redact/sip";

export { reserve } from "../../../assembly/memory";
export {
  closeSet,
  createRecords,
  endBody,
  feedBody,
  flush,
  isCrowded,
  isHolding,
  openBody,
  openRestorer,
  openSet,
  restore,
  seedSip,
};
export { blockedBy, clearVault, countOf, feed, heldIn, openAnswer, openChannel, setOutput };

export function sizes(which: i32): i32 {
  return which == 0
    ? ANSWER_BYTES
    : which == 1
      ? RECORD_BYTES
      : which == 2
        ? VAULT_BYTES
        : which == 3
          ? SET_BYTES
          : which == 4
            ? BODY_BYTES
            : RESTORER_BYTES;
}
/** Keeps a template of the event too, as the filter does. */
export function rewriteEvent(set: usize, body: usize, ptr: usize, len: i32, pieces: usize, count: i32): bool {
  if (!rewrite(set, body, slice(ptr, len), pieces, count)) return false;
  for (let i = 0; i < count; i++) if (!remember(set, slice(ptr, len), pieces, count, i)) return false;
  return true;
}
export function written(): usize {
  return outTo;
}
export function overflowed(): bool {
  return overflow;
}
const phrases = reserve(phraseTableBytes(256));

export function phrase(ptr: usize, len: i32, type: i32): bool {
  usePhrases(phrases);
  return addPhrase(phrases, slice(ptr, len), type, reserve(len));
}

/** Lists up to `max` spans of the text as (start, end, type) u32 triples, byte offsets; returns how many. */
export function spans(ptr: usize, len: i32, to: usize, max: i32): i32 {
  setView(ptr, ptr + len, true);
  let n = 0;
  let p = ptr;
  while (n < max && next(p)) {
    p = matchEnd();
    const at = to + 12 * n++;
    store<u32>(at, <u32>(matchFrom - ptr));
    store<u32>(at, <u32>(p - ptr), 4);
    store<u32>(at, <u32>matchType, 8);
  }
  return n;
}
