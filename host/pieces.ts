// A body as it arrives: text, bytes, a list of chunks, or a stream of them; and the callbacks it makes.

export type BodySource = string | Uint8Array | readonly Uint8Array[] | AsyncIterable<Uint8Array>;

export interface Piece {
  bytes: Uint8Array;
  end: boolean;
}

const NO_BYTES = new Uint8Array(0);

/** Whether there is no body at all. A stream is never empty: nobody knows yet. */
export function isEmpty(source: BodySource | undefined): boolean {
  if (source === undefined) return true;
  if (typeof source === "string" || source instanceof Uint8Array) return source.length === 0;
  return Array.isArray(source) && source.every((chunk) => chunk.length === 0);
}

/** The whole body; without a copy when it is in one piece. */
export async function concat(source: BodySource | undefined): Promise<Uint8Array> {
  if (source === undefined) return NO_BYTES;
  if (typeof source === "string") return Buffer.from(source);
  if (source instanceof Uint8Array) return source;
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/**
 * The body's pieces in order, the last one with `end`. The end comes with the last bytes when they can be known
 * (`length` bytes arrived, or the list is over), else, or with `emptyEnd`, as a piece of its own without bytes.
 * @param endMayNotCome with a content-length and several chunks no piece has `end` (nginx)
 */
export async function* pieces(
  source: BodySource | undefined,
  length: number | undefined,
  emptyEnd = false,
  endMayNotCome = false,
): AsyncGenerator<Piece> {
  const list =
    typeof source === "string" || source instanceof Uint8Array
      ? [await concat(source)]
      : source === undefined || Array.isArray(source)
        ? ((source ?? []) as readonly Uint8Array[])
        : undefined;
  const count = list?.length ?? 0;
  let seen = 0;
  let index = 0;
  for await (const bytes of list ?? guarded(source as AsyncIterable<Uint8Array>)) {
    index++;
    seen += bytes.length;
    const first = index === 1;
    const last = list ? index === count : length !== undefined && seen >= length;
    const end = last && !emptyEnd && (!endMayNotCome || first);
    yield { bytes, end };
    if (end) return;
  }
  if (endMayNotCome && length !== undefined) return;
  yield { bytes: NO_BYTES, end: true };
}

/** Marks what an upstream's own generator throws, so that it can be told from the guest's errors. */
async function* guarded(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await iterator.next();
      } catch (error) {
        throw Object.assign(new Error(String(error), { cause: error }), { upstream: true });
      }
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // An upstream that waits for bytes which never come must not keep a stream that has ended.
    void iterator.return?.()?.catch(() => {});
  }
}
