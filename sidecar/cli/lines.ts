// Lines of text as commands read them. Bounds: one line of LINE_BYTES_MAX is held.
import { isUtf8 } from "node:buffer";

/** The filter's BODY_BYTES_MAX, and room for escapes and the rest of a line. */
export const LINE_BYTES_MAX = 32 << 20;

export type LineInput = AsyncIterable<Uint8Array | string>;

/** Stands for a line that is not read: one that is too long, or that would be read as other letters. */
export class Unread {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

/**
 * The lines of a stream, without their ends and without a byte order mark before the first. One that is too long is dropped
 * as it comes.
 */
export async function* linesOf(stdin: LineInput): AsyncGenerator<string | Unread> {
  let parts: Buffer[] = [];
  let bytes = 0;
  let first = true;
  const read = () => {
    if (bytes > LINE_BYTES_MAX) return new Unread(`longer than ${LINE_BYTES_MAX} bytes`);
    const whole = Buffer.concat(parts);
    if (!isUtf8(whole)) return new Unread("not UTF-8");
    const text = whole.toString("utf8").replace(/\r$/, "");
    return first ? text.replace(/^\uFEFF/, "") : text;
  };
  const line = () => {
    const found = read();
    first = false;
    parts = [];
    bytes = 0;
    return found;
  };
  for await (const chunk of stdin) {
    const buffer = Buffer.from(chunk as Uint8Array);
    let from = 0;
    for (let to = buffer.indexOf(10); to >= 0; to = buffer.indexOf(10, from)) {
      bytes += to - from;
      if (bytes <= LINE_BYTES_MAX) parts.push(buffer.subarray(from, to));
      yield line();
      from = to + 1;
    }
    bytes += buffer.length - from;
    if (bytes <= LINE_BYTES_MAX) parts.push(buffer.subarray(from));
    else parts = [];
  }
  if (bytes) yield line();
}
