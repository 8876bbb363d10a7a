// Reads one document of an answer (a JSON body, or the data of one event) as it comes, in any number of pieces.
//
// The scanner's events are followed along the shapes (shapes.ts): what is on no path of ours is skipped without a
// look at it. A token that a cut has split is carried if it is short and ours; texts are only measured and listed.
import { decode } from "../json/escape";
import { NOT_WHOLE, toU64 } from "../json/number";
import { Event, Scanner } from "../json/scanner";
import { Token } from "../json/states";
import { lenOf, NONE, ptrOf, slice, Slice } from "../slice";
import { idOf, NAME_BYTES_MAX } from "./names";
import { Counter, isAmount } from "./counters";
import { AGAIN, ANY, Channel, child, detailOf, elementOf, Mark, markOf, ROOT, What, whatOf } from "./shapes";
import {
  addSpan,
  ALL,
  beginMajor,
  beginMinor,
  changeKind,
  deltasHere,
  ENDS,
  moveMajor,
  moveMinor,
} from "./spans";
import { CARRY_BYTES_MAX, Cut, LEVELS_MAX, MODEL_BYTES_MAX, State } from "./state";
import { forgetText, takeText } from "./texts";
import {
  ADVISOR,
  BLOCK_STOP,
  COMPACTION,
  COMPLETED,
  deltaKind,
  endsPart,
  ERROR,
  FAILED,
  INCOMPLETE,
  INTERACTION_COMPLETED,
  ITEM_DONE,
  MESSAGE_END,
  MESSAGE_STOP,
  STEP_STOP,
} from "./types";

/** Nesting of an answer; a deeper one cannot be read. */
const DEPTH_MAX: i32 = 512;
const ARRAY: u32 = 0x80;
const INDEX_MAX: u64 = 1 << 20;
const ROUND_COUNTERS: i32 = Counter.BesideInput - Counter.RoundInput;

/** Memory address minus document offset, and the document offset where the piece begins. */
let skew: usize = 0;
let pieceAt: i32 = 0;
/** Names and types with escapes in them, decoded. */
const plainName: usize = memory.data(48);

/** Begins a document. */
export function beginDocument(state: State): void {
  state.scan.begin(DEPTH_MAX);
  state.begun = true;
  state.broken = false;
  state.complete = false;
  state.array = false;
  state.docBytes = 0;
  state.pending = <u8>ROOT;
  state.skipDepth = 0;
  state.anyDepth = 0;
  state.wholeDepth = 0;
  state.cut = Cut.No;
  state.typeId = 0;
  state.choicesEmpty = false;
  state.usageHere = false;
}

/** Reads the next `len` bytes of the document. What follows a mistake is not looked at. */
export function walk(state: State, ptr: usize, len: i32): void {
  const s = state.scan;
  pieceAt = state.docBytes;
  skew = ptr - pieceAt;
  state.docBytes += len;
  if (state.broken) return;
  s.feed(ptr, len, false);
  while (true) {
    const event = s.next();
    if (event == Event.NeedMore) {
      keepCut(state, s);
      return;
    }
    if (event >= Event.End) {
      state.broken = event == Event.Error;
      if (state.broken && state.cut == Cut.Text) forgetText(state);
      return;
    }
    if (state.skipDepth) {
      if (s.depth < state.skipDepth) {
        state.skipDepth = 0;
        afterValue(state, s.depth);
      }
    } else step(state, s, event);
    if (state.cut) state.cut = Cut.No;
  }
}

function step(state: State, s: Scanner, event: i32): void {
  switch (event) {
    case Event.Key:
      if (state.anyDepth == 0) member(state, s);
      return;
    case Event.ObjectStart:
    case Event.ArrayStart:
      if (state.anyDepth == 0) enter(state, s.depth, event == Event.ArrayStart);
      return;
    case Event.ObjectEnd:
    case Event.ArrayEnd:
      leave(state, s.depth);
      return;
    default:
      // Most values are none of ours; then the next is not either, until its name says so.
      if (state.pending == 0 && state.anyDepth == 0) return;
      scalar(state, s, event);
      if (state.anyDepth == 0) afterValue(state, s.depth);
  }
}

function member(state: State, s: Scanner): void {
  const id = wordId(state, s);
  const node = load<u8>(state.nodes + s.depth - 1);
  state.pending = id ? <u8>child(node, id) : 0;
  if (state.pending) state.familiar = true;
}

function enter(state: State, depth: i32, isArray: bool): void {
  const node = <i32>state.pending;
  const what = whatOf(node);
  if (what == What.Error && !isArray) state.failed = true;
  if (what == What.Counter) noteOdd(state, node);
  if (what == What.Any) {
    state.anyDepth = depth;
    return;
  }
  let inside = what == What.Inner || what == What.Text;
  const top = isArray && depth == 1;
  if (isArray && !top && elementOf(node) == 0) inside = false;
  if (!inside || depth > LEVELS_MAX) {
    state.skipDepth = depth;
    return;
  }
  store<u8>(state.nodes + depth - 1, <u8>(isArray ? ARRAY | node : node));
  if (top) {
    state.array = true;
    return;
  }
  if (isArray) state.pending = <u8>elementOf(node);
  const mark = markOf(node);
  if (mark) begin(state, mark, depth, isArray);
}

function begin(state: State, mark: i32, depth: i32, isArray: bool): void {
  switch (mark) {
    case Mark.Root:
      beginRoot(state);
      return;
    case Mark.Choices:
      state.choicesEmpty = isArray;
      return;
    case Mark.Choice:
      state.choicesEmpty = false;
      state.inChoice = true;
      state.choiceUsage = false;
      state.finishHere = false;
      state.major = state.majorNext++;
      state.minor = 0;
      state.minorNext = 0;
      startMajor(state);
      return;
    case Mark.Tool:
      state.minor = state.minorNext++;
      startMinor(state);
      return;
    case Mark.Again:
      state.minor = AGAIN + state.minorNext++;
      startMinor(state);
      return;
    case Mark.Part:
      state.thoughts = false;
      startMinor(state);
      return;
    case Mark.Rounds:
      // Each list has all rounds so far.
      for (let i = 0; i < 2 * ROUND_COUNTERS; i++) state.setCounter(Counter.BesideInput + i, 0);
      return;
    case Mark.Round:
      state.roundBeside = false;
      for (let i = 0; i < ROUND_COUNTERS; i++) state.setCounter(Counter.RoundInput + i, 0);
      return;
    case Mark.Usage:
      state.usageHere = true;
      state.choiceUsage = state.inChoice;
      return;
    case Mark.Delta:
      return;
    default:
      if (state.wholeDepth == 0) state.wholeDepth = depth;
  }
}

function beginRoot(state: State): void {
  state.complete = false;
  state.typeId = 0;
  state.choicesEmpty = false;
  state.usageHere = false;
  state.thoughts = false;
  state.inChoice = false;
  state.finishHere = false;
  state.doneHere = false;
  state.reasoningHere = false;
  state.againBytes = 0;
  state.againDeltas = 0;
  state.major = 0;
  state.minor = 0;
  state.majorNext = 0;
  state.minorNext = 0;
  startMajor(state);
}

function startMajor(state: State): void {
  state.majorDeltas = 0;
  state.minorDeltas = 0;
  beginMajor();
}

function startMinor(state: State): void {
  state.minorDeltas = 0;
  beginMinor();
}

/** An object or array closed, and `depth` are still open. */
function leave(state: State, depth: i32): void {
  if (state.anyDepth) {
    if (depth >= state.anyDepth) return;
    state.anyDepth = 0;
    afterValue(state, depth);
    return;
  }
  if (depth < state.wholeDepth) state.wholeDepth = 0;
  const entry = <u32>load<u8>(state.nodes + depth);
  if ((entry & ARRAY) == 0) {
    const mark = markOf(entry);
    if (mark == Mark.Root) endRoot(state);
    else if (mark == Mark.Choice) endChoice(state);
    else if (mark == Mark.Tool || mark == Mark.Again) {
      state.minor = 0;
      startMinor(state);
    } else if (mark == Mark.Round) endRound(state);
  }
  afterValue(state, depth);
}

/** What the next value is, unless a member's name says so first. */
function afterValue(state: State, depth: i32): void {
  state.pending = 0;
  if (depth == 0) return;
  const entry = <u32>load<u8>(state.nodes + depth - 1);
  if (entry & ARRAY) state.pending = <u8>(depth == 1 ? ROOT : elementOf(entry & 0x7f));
}

function scalar(state: State, s: Scanner, event: i32): void {
  const node = state.anyDepth ? ANY : <i32>state.pending;
  const what = whatOf(node);
  if (what == What.Counter && event != Event.Number && event != Event.Null) noteOdd(state, node);
  if (what == What.Nothing || what == What.Inner) return;
  if (event == Event.String) {
    if (what == What.Text || what == What.Any) {
      const begins = state.cut != Cut.Text;
      takeText(state, node, skew + max(s.start, pieceAt), skew + s.end, begins, true);
    } else if (what == What.Finish) finish(state, skew + s.end);
    else if (what == What.Type) {
      const id = wordId(state, s);
      if (id) knowType(state, id);
    } else if (what == What.RoundType) {
      const id = wordId(state, s);
      state.roundBeside = id == COMPACTION || id == ADVISOR;
    } else if (what == What.Model) keepModel(state, token(state, s));
    else if (what == What.Error) state.failed = true;
  } else if (event == Event.Number) number(state, node, token(state, s));
  else if (event == Event.True && what == What.Finish) {
    finish(state, skew + s.end);
    state.doneHere = true;
  } else if (event == Event.True && what == What.Thought) {
    state.thoughts = true;
    if (!state.streams) return;
    changeKind(Channel.Text, Channel.Reasoning, true);
    if (state.minorDeltas != deltasHere(true)) state.misplaced = true;
  }
}

/** The event's type says what kind of text its delta is, which may have come before. */
function knowType(state: State, id: i32): void {
  state.typeId = <u8>id;
  const kind = deltaKind(id);
  changeKind(Channel.Unknown, kind, false);
  // What has passed was taken for an answer's text.
  if (kind != Channel.Text && state.majorDeltas != deltasHere(false)) state.misplaced = true;
}

function number(state: State, node: i32, raw: Slice): void {
  const what = whatOf(node);
  if (what < What.Counter) return;
  const value = raw == NONE ? NOT_WHOLE : toU64(raw);
  if (value == NOT_WHOLE) {
    if (what == What.Counter) noteOdd(state, node);
    return;
  }
  if (what == What.Counter) {
    state.count(detailOf(node), value);
    // Ollama's stand in no object of their own.
    if (markOf(node) == Mark.Usage) state.usageHere = true;
  }
  // Texts of a JSON answer may be out already when their index comes: there, their order is their index.
  if (!state.streams) return;
  if (what == What.Major) {
    const major = <i32>min(value, INDEX_MAX);
    if (major != state.major && state.majorDeltas != deltasHere(false)) state.misplaced = true;
    state.major = major;
    moveMajor(major);
  } else if (what == What.Minor) {
    const minor = <i32>min(value, INDEX_MAX) + (detailOf(node) << 8);
    if (minor != state.minor && state.minorDeltas != deltasHere(true)) state.misplaced = true;
    state.minor = minor;
    moveMinor(minor);
  }
}

/** The value at a counter is no whole number from 0, nor absent. */
function noteOdd(state: State, node: i32): void {
  if (isAmount(detailOf(node))) state.odd = true;
}

function keepModel(state: State, raw: Slice): void {
  if (raw == NONE || state.modelLength) return;
  state.modelLength = max(decode(raw, ptrOf(state.model), MODEL_BYTES_MAX), 0);
}

function finish(state: State, at: usize): void {
  state.finishHere = true;
  const major = state.inChoice ? state.major : <i32>ALL;
  addSpan(Channel.End, major, ALL, at, at, ENDS);
}

function endChoice(state: State): void {
  // What each of several choices tells of itself is not added up: it is as if it were not known.
  if (state.choiceUsage && state.major > 0) state.odd = true;
  const bit = 1 << (state.major & 31);
  state.choicesOpen |= bit;
  if (state.finishHere) state.choicesDone |= bit;
  state.finishHere = false;
  state.inChoice = false;
}

/**
 * What was sampled beside the answer is charged beside it. A model that declined before it wrote anything is not charged, one
 * that declined later is (Anthropic's server-side fallback, where only the model that answered is in what stands around).
 */
function endRound(state: State): void {
  if (!state.roundBeside && state.counter(Counter.RoundOutput) == 0) return;
  const sums = state.roundBeside ? Counter.BesideInput : Counter.RoundsInput;
  for (let i = 0; i < ROUND_COUNTERS; i++) {
    const sum = state.counter(sums + i) + state.counter(Counter.RoundInput + i);
    state.setCounter(sums + i, sum);
  }
}

function endRoot(state: State): void {
  state.complete = true;
  state.foreign = !state.familiar;
  // What no other member says is said here alone.
  if (!state.reasoningHere) {
    state.textBytes += state.againBytes;
    state.deltas += state.againDeltas;
  }
  if (state.finishHere) {
    state.choicesOpen |= 1;
    state.choicesDone |= 1;
  }
  const type = <i32>state.typeId;
  if (type == ERROR || type == FAILED) state.failed = true;
  // Usage that comes with or after an error or the last choice's end is final, though `[DONE]` or the like may be missing.
  const ended = state.failed || (state.choicesDone != 0 && state.choicesDone == state.choicesOpen);
  if (state.usageHere && ended) state.finished = true;
  if (state.doneHere) state.finished = true;
  if (type == 0) return;
  if (
    type == MESSAGE_STOP ||
    type == MESSAGE_END ||
    type == COMPLETED ||
    type == INTERACTION_COMPLETED ||
    type == INCOMPLETE ||
    type == FAILED
  ) {
    state.finished = true;
    addSpan(Channel.End, ALL, ALL, skew + state.scan.end, skew + state.scan.end, ENDS);
  } else if (type == BLOCK_STOP || type == STEP_STOP || type == ITEM_DONE) {
    addSpan(Channel.End, state.major, ALL, skew + state.scan.end, skew + state.scan.end, ENDS);
  } else if (endsPart(type)) {
    addSpan(Channel.End, state.major, state.minor, skew + state.scan.end, skew + state.scan.end, ENDS);
  }
}

/** The raw bytes of the token that just ended, or NONE if it was cut and too long to be carried. */
function token(state: State, s: Scanner): Slice {
  if (s.start >= pieceAt && state.cut == Cut.No) return slice(skew + s.start, s.end - s.start);
  carry(state, skew + pieceAt, max(s.end - pieceAt, 0));
  return state.carryLong ? NONE : slice(state.carry, state.carryLength);
}

/** Which member's name or type the token is, whatever of it is escaped; 0: none that we know. */
function wordId(state: State, s: Scanner): i32 {
  let word = token(state, s);
  if (s.escaped && word != NONE) {
    const len = decode(word, plainName, NAME_BYTES_MAX);
    word = len < 0 ? NONE : slice(plainName, len);
  }
  return idOf(ptrOf(word), lenOf(word));
}

/** The piece is used up, perhaps inside a token: keeps what the rest of it will need. */
function keepCut(state: State, s: Scanner): void {
  if (s.token == Token.None) {
    state.cut = Cut.No;
    return;
  }
  if (state.skipDepth) return;
  const from = max(s.start, pieceAt);
  const begins = state.cut == Cut.No;
  const node = state.anyDepth ? ANY : <i32>state.pending;
  const what = whatOf(node);
  if (s.token == Token.Text && !s.isKey && (what == What.Text || what == What.Any)) {
    takeText(state, node, skew + from, skew + state.docBytes, begins, false);
    state.cut = Cut.Text;
    return;
  }
  if (begins) {
    state.carryLength = 0;
    state.carryLong = false;
  }
  carry(state, skew + from, state.docBytes - from);
  state.cut = Cut.Other;
}

function carry(state: State, from: usize, len: i32): void {
  if (state.carryLong || len > CARRY_BYTES_MAX - state.carryLength) {
    state.carryLong = true;
    return;
  }
  memory.copy(state.carry + state.carryLength, from, len);
  state.carryLength += len;
}
