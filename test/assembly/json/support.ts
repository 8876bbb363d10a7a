// Typed access to the compiled JSON leaf for its tests.
import { type Leaf, leaf } from "../../support/leaf.ts";

export const ERRORS = [
  "None",
  "UnexpectedCharacter",
  "InvalidUtf8",
  "ControlCharacter",
  "BadEscape",
  "LoneSurrogate",
  "BadNumber",
  "TooDeep",
  "DuplicateKey",
  "UnexpectedEnd",
  "TextAfter",
  "ByteOrderMark",
  "TooManyValues",
  "TooLong",
];
export const EVENTS = "NeedMore { } [ ] Key String Number True False Null End Error".split(" ");
const NEED_MORE = 0;
const END = 11;
const ERROR = 12;
const ROOM = 1 << 21;

export interface Json {
  leaf: Leaf;
  /** Where documents are written: ROOM bytes. */
  ptr: number;
  tape(bytes: Uint8Array, depth: number): { error: string; at: number };
  /** The text of a slice. */
  slice(s: bigint): string;
}

export async function openJson(scalar = false, steps = false): Promise<Json> {
  const opened = await leaf("test/assembly/json/json.entry.ts", { scalar, steps });
  const ptr = opened.reserve(ROOM);
  return {
    leaf: opened,
    ptr,
    tape(bytes, depth) {
      opened.write(ptr, bytes);
      const code = opened.exports.tapeScan(ptr, bytes.length, depth);
      return { error: ERRORS[code] ?? `code ${code}`, at: opened.exports.tapeErrorAt() };
    },
    slice: (s) => opened.text(Number(s >> 32n), Number(s & 0xffffffffn)),
  };
}

/** All events of a document given in `pieces` and an empty last one, as text. Each piece overwrites the one before. */
export function eventsOf(json: Json, pieces: Uint8Array[], depth: number, second = 0): string[] {
  const { exports, write } = json.leaf;
  const events: string[] = [];
  exports.begin(depth, second);
  for (const [i, piece] of [...pieces, new Uint8Array()].entries()) {
    write(json.ptr, piece);
    exports.feed(json.ptr, piece.length, i === pieces.length ? 1 : 0, second);
    while (true) {
      const event = exports.next(second);
      if (event === NEED_MORE) break;
      if (event === ERROR) {
        events.push(`Error ${ERRORS[exports.error(second)]} ${exports.errorAt(second)}`);
        return events;
      }
      if (event === END) {
        events.push("End");
        return events;
      }
      const flag = (event === 5 || event === 6) && exports.escaped(second) ? " escaped" : "";
      events.push(
        `${EVENTS[event]} ${exports.start(second)}-${exports.end(second)}${flag} @${exports.depth(second)}`,
      );
    }
  }
  return events;
}
