// A body, or the part of one that the host holds: a list of chunks that are never joined unless someone asks, so
// that a chunk passes from the network to the guest with one copy, and back with one.

export class Body {
  #chunks: Uint8Array[] = [];
  length = 0;

  append(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.length += chunk.length;
  }

  prepend(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.unshift(chunk);
    this.length += chunk.length;
  }

  clear(): void {
    this.#chunks = [];
    this.length = 0;
  }

  /** Keeps the first `length` bytes. */
  truncate(length: number): void {
    if (length >= this.length) return;
    const all = this.joined();
    this.clear();
    this.append(all.subarray(0, length));
  }

  /** Takes everything out. */
  take(): Uint8Array[] {
    const chunks = this.#chunks;
    this.clear();
    return chunks;
  }

  /** All bytes in one piece; without a copy when there is one chunk. */
  joined(): Uint8Array {
    return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.length);
  }

  /** Bytes `start` to `start + length`, in one piece. The range must lie inside. */
  slice(start: number, length: number): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.length)];
    const only = this.#chunks[0]!;
    return start === 0 && length === this.length ? only : only.subarray(start, start + length);
  }
}
