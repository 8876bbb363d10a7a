// The texts of an event that is to be rewritten, ascending and not overlapping. Who reads the events lists them; behind them
// stand its gaps, strings that differ in events which are otherwise alike.
//
//   channel: 1 bit: its last piece │ kind (3 bits) │ whose it is
import { reserve } from "../memory";

@unmanaged
export class Piece {
  channel: u32;
  /** Offsets in the event, inside the quotes of the JSON string. */
  start: u32;
  end: u32;
}

/** Pieces in one event; the texts of an event are fewer (usage/spans.ts). */
const PIECES_MAX: i32 = 4224;
/** The kind of a channel is its bits from here on; those of JSON_KIND hold what tools are called with, those below it what is said. */
export const KIND_SHIFT: u32 = 28;
export const JSON_KIND: u32 = 4;
/** Set in a piece's channel: it is the channel's last, so nothing is held. */
export const LAST_PIECE: u32 = 0x80000000;
export const NO_CHANNEL: u32 = 0xffffffff;
/** The channel of a piece that passes as it is. */
export const UNTOUCHED: u32 = 0x7fffffff;
/** The kind of channel for texts that are complete in themselves: one at a time. */
export const WHOLE_TEXT: u32 = 7 << KIND_SHIFT;
/** The same for texts that hold JSON. */
export const WHOLE_JSON: u32 = WHOLE_TEXT | 1;

let list: usize = 0;
export let pieceCount: i32 = 0;
export let gapCount: i32 = 0;

/** Makes room for the list. At configuration; once is enough. */
export function createPieces(): void {
  if (!list) list = reserve(PIECES_MAX * offsetof<Piece>());
}

/** Begins the list of an event. */
export function clearPieces(): void {
  pieceCount = 0;
  gapCount = 0;
}

export function addPiece(channel: u32, start: u32, end: u32): void {
  if (pieceCount == PIECES_MAX) return;
  put(pieceCount++, channel, start, end);
}

/** Lists a gap, after all pieces. */
export function addGap(start: u32, end: u32): void {
  if (pieceCount + gapCount == PIECES_MAX) return;
  put(pieceCount + gapCount++, WHOLE_TEXT | LAST_PIECE, start, end);
}

function put(i: i32, channel: u32, start: u32, end: u32): void {
  const piece = pieceAt(i);
  piece.channel = channel;
  piece.start = start;
  piece.end = end;
}

/** The `i`th piece, or gap behind them. */
export function pieceAt(i: i32): Piece {
  return changetype<Piece>(list + <usize>i * offsetof<Piece>());
}
