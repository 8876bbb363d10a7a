// The guest's linear memory as the host sees it: checked reads without copying, and writes only through the
// guest's own allocator (`proxy_on_memory_allocate`, else `malloc`).
//
// A view is good until the guest grows its memory, which can happen in any call to it; so each access asks for
// the current buffer, and no view may be kept across a call. Every access is checked against the memory's end.
import type { GuestExports, GuestFunction } from "./abi.ts";
import type { HeaderMap } from "./maps.ts";

export class GuestMemory {
  readonly #memory: WebAssembly.Memory;
  readonly #allocate: GuestFunction;
  #bytes: Buffer;
  #view: DataView;

  constructor(exports: GuestExports) {
    const allocate = exports.proxy_on_memory_allocate ?? exports.malloc;
    if (!allocate) throw new Error("the guest exports neither proxy_on_memory_allocate nor malloc");
    this.#memory = exports.memory;
    this.#allocate = allocate;
    this.#bytes = Buffer.from(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }

  #refresh(): void {
    if (this.#bytes.buffer === this.#memory.buffer) return;
    this.#bytes = Buffer.from(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }

  /** The size of the guest's memory in bytes. */
  get size(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Whether `len` bytes at `ptr` lie inside. */
  has(ptr: number, len: number): boolean {
    return (ptr >>> 0) + (len >>> 0) <= this.#memory.buffer.byteLength;
  }

  /** The bytes themselves, not a copy; only for use before the guest runs again. Check with `has` first. */
  bytes(ptr: number, len: number): Buffer {
    this.#refresh();
    return this.#bytes.subarray(ptr >>> 0, (ptr >>> 0) + (len >>> 0));
  }

  /** A copy that outlives the call. Check with `has` first. */
  copy(ptr: number, len: number): Buffer {
    this.#refresh();
    return Buffer.from(this.#bytes.subarray(ptr >>> 0, (ptr >>> 0) + (len >>> 0)));
  }

  /** A byte string: one char per byte. Check with `has` first. */
  latin1(ptr: number, len: number): string {
    this.#refresh();
    return this.#bytes.toString("latin1", ptr >>> 0, (ptr >>> 0) + (len >>> 0));
  }

  /** UTF-8 text. Check with `has` first. */
  utf8(ptr: number, len: number): string {
    this.#refresh();
    return this.#bytes.toString("utf8", ptr >>> 0, (ptr >>> 0) + (len >>> 0));
  }

  setU32(ptr: number, value: number): void {
    this.#refresh();
    this.#view.setUint32(ptr >>> 0, value, true);
  }

  setU64(ptr: number, value: bigint): void {
    this.#refresh();
    this.#view.setBigUint64(ptr >>> 0, value, true);
  }

  /** Asks the guest for `len` bytes; 0 when it has none, or gave an address outside its memory. */
  allocate(len: number): number {
    const ptr = (this.#allocate(len) ?? 0) >>> 0;
    this.#refresh();
    return this.has(ptr, len) ? ptr : 0;
  }

  /** Hands `value` to the guest and stores where it is. False: the guest had no room. */
  give(value: Uint8Array, ptrPtr: number, sizePtr: number): boolean {
    const len = value.length;
    const ptr = len === 0 ? 0 : this.allocate(len);
    if (ptr === 0 && len > 0) return false;
    if (len > 0) this.#bytes.set(value, ptr);
    return this.#point(ptr, len, ptrPtr, sizePtr);
  }

  /** The same for a byte string. */
  giveLatin1(value: string, ptrPtr: number, sizePtr: number): boolean {
    const len = value.length;
    const ptr = len === 0 ? 0 : this.allocate(len);
    if (ptr === 0 && len > 0) return false;
    if (len > 0) this.#bytes.write(value, ptr, len, "latin1");
    return this.#point(ptr, len, ptrPtr, sizePtr);
  }

  /**
   * Hands a header map over in the ABI's form, at most `pairsMax` pairs of it:
   *
   *     u32 count │ count × (u32 name bytes, u32 value bytes) │ count × (name, 0, value, 0)
   */
  givePairs(map: HeaderMap, pairsMax: number, ptrPtr: number, sizePtr: number): boolean {
    const count = Math.min(map.size, pairsMax);
    if (count === 0) return this.#point(0, 0, ptrPtr, sizePtr);
    let len = 4 + count * 10;
    for (let i = 0; i < count; i++) len += map.names[i]!.length + map.values[i]!.length;
    const ptr = this.allocate(len);
    if (ptr === 0) return false;
    const view = this.#view;
    const bytes = this.#bytes;
    let sizes = ptr + 4;
    let at = ptr + 4 + count * 8;
    view.setUint32(ptr, count, true);
    for (let i = 0; i < count; i++) {
      const name = map.names[i]!;
      const value = map.values[i]!;
      view.setUint32(sizes, name.length, true);
      view.setUint32(sizes + 4, value.length, true);
      sizes += 8;
      at += bytes.write(name, at, name.length, "latin1");
      bytes[at++] = 0;
      at += bytes.write(value, at, value.length, "latin1");
      bytes[at++] = 0;
    }
    return this.#point(ptr, len, ptrPtr, sizePtr);
  }

  #point(ptr: number, len: number, ptrPtr: number, sizePtr: number): true {
    this.setU32(ptrPtr, ptr);
    this.setU32(sizePtr, len);
    return true;
  }
}
