// Lines of text as commands read them. Bounds: one line of LINE_BYTES_MAX is held.

/** The filter's BODY_BYTES_MAX, and room for escapes and the rest of a line. */
export const LINE_BYTES_MAX = 32 << 20;

export type LineInput = AsyncIterable<Uint8Array | string>;

/**
 * The lines of a stream, without their ends and without a byte order mark before the first; undefined stands for one that is
 * too long, which is dropped as it comes.
 */
export async function* linesOf(stdin: LineInput): AsyncGenerator<string | undefined> {
  let parts: Buffer[] = [];
  let bytes = 0;
  let first = true;
  const line = () => {
    let text = bytes > LINE_BYTES_MAX ? undefined : Buffer.concat(parts).toString("utf8").replace(/\r$/, "");
    if (first) text = text?.replace(/^\uFEFF/, "");
    first = false;
    parts = [];
    bytes = 0;
    return text;
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
