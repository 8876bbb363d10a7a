// The texts of one request and its answer, for policies that want them: the last PROMPT_TEXTS_MAX texts of the prompt and
// the beginning of the answer's, each cut at a bound. A slot of a small pool for each request; none left, no text.
//
//   capture: │ fields │ text (8 bytes: length u32, speaker u32) × 8 │ prompt's text 8 × 512 │ answer's text 2,048 │
import { Decoded } from "../json/escape";
import { CAPTURES_MAX } from "../limits";
import { reserve } from "../memory";
import { lenOf, ptrOf, slice, Slice } from "../slice";

export const PROMPT_TEXTS_MAX: i32 = 8;
export const PROMPT_TEXT_MAX: i32 = 512;
export const ANSWER_TEXT_MAX: i32 = 2048;

@unmanaged
export class Capture {
  nextFree: usize;
  texts: i32;
  answerLength: i32;
  /** The reader of the answer as it is sent (usage/state.ts), or 0. */
  reader: usize;
  /** The answer is a stream of events. */
  events: bool;
  /** Some text was left out. */
  cut: bool;

  /** The `i`th text of the prompt; and who wrote it. */
  text(i: i32): Slice {
    return slice(this.textAt(i), load<i32>(this.entry(i)));
  }
  speaker(i: i32): i32 {
    return load<i32>(this.entry(i), 4);
  }
  private entry(i: i32): usize {
    return changetype<usize>(this) + TEXTS_AT + ((<usize>i) << 3);
  }
  private textAt(i: i32): usize {
    return changetype<usize>(this) + PROMPT_AT + <usize>(i * PROMPT_TEXT_MAX);
  }

  /** Keeps the beginning of a text of the prompt (the inside of a JSON string); at most PROMPT_TEXTS_MAX. */
  addPrompt(raw: Slice, escaped: bool, speaker: i32): void {
    const i = this.texts++;
    store<i32>(this.entry(i), this.decode(raw, escaped, this.textAt(i), PROMPT_TEXT_MAX));
    store<i32>(this.entry(i), speaker, 4);
  }

  /**
   * Keeps more of the answer's text, the inside of JSON strings, as long as there is room. It is kept as it is written,
   * because a piece may end inside an escape.
   */
  addAnswer(raw: Slice): void {
    const fits = min(lenOf(raw), ANSWER_TEXT_MAX - this.answerLength);
    memory.copy(changetype<usize>(this) + ANSWER_AT + this.answerLength, ptrOf(raw), fits);
    this.answerLength += fits;
    if (fits < lenOf(raw)) this.cut = true;
  }

  /** Whether more of the answer would be kept. */
  get wantsAnswer(): bool {
    return this.answerLength < ANSWER_TEXT_MAX;
  }

  /** Writes the answer's text to `to` (ANSWER_TEXT_MAX) and returns it. */
  answer(to: usize): Slice {
    const raw = slice(changetype<usize>(this) + ANSWER_AT, this.answerLength);
    const length = this.decode(raw, true, to, ANSWER_TEXT_MAX);
    // Where it was cut, a character may be in two.
    return slice(to, this.cut ? wholeEnd(to, length) : length);
  }

  /** Writes the decoded text up to `most` bytes, whole characters only; returns its length. */
  private decode(raw: Slice, escaped: bool, to: usize, most: i32): i32 {
    const text = Decoded.A.of(raw, escaped);
    let length = 0;
    for (let b = text.next(); b >= 0; b = text.next()) {
      if (length == most) {
        this.cut = true;
        return wholeEnd(to, length);
      }
      store<u8>(to + length++, <u8>b);
    }
    return length;
  }
}

/** The length without a last character of which bytes are missing. */
function wholeEnd(text: usize, length: i32): i32 {
  let at = length;
  while (at > 0 && length - at < 3 && (load<u8>(text + at - 1) & 0xc0) == 0x80) at--;
  if (at == 0) return 0;
  const lead = load<u8>(text + at - 1);
  const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return at - 1 + size <= length ? length : at - 1;
}

const TEXTS_AT: usize = (offsetof<Capture>() + 7) & ~7;
const PROMPT_AT: usize = TEXTS_AT + <usize>(8 * PROMPT_TEXTS_MAX);
const ANSWER_AT: usize = PROMPT_AT + <usize>(PROMPT_TEXTS_MAX * PROMPT_TEXT_MAX);
const CAPTURE_SIZE: usize = (ANSWER_AT + <usize>ANSWER_TEXT_MAX + 7) & ~7;
const HEAD: usize = TEXTS_AT;

let free: usize = 0;
let created: bool = false;

/** Makes the pool. At configuration; once is enough. */
export function createCaptures(): void {
  if (created) return;
  created = true;
  const pool = reserve(<usize>CAPTURES_MAX * CAPTURE_SIZE);
  for (let i = CAPTURES_MAX - 1; i >= 0; i--) giveBack(changetype<Capture>(pool + <usize>i * CAPTURE_SIZE));
}

/** An empty capture, or null when CAPTURES_MAX are in use. */
export function takeCapture(): Capture | null {
  if (free == 0) return null;
  const capture = changetype<Capture>(free);
  free = capture.nextFree;
  memory.fill(changetype<usize>(capture), 0, HEAD);
  return capture;
}

export function giveBack(capture: Capture): void {
  capture.nextFree = free;
  free = changetype<usize>(capture);
}
