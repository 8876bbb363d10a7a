// The key-value store that all VMs (workers) of one proxy share, with compare-and-set, and the shared queues.
//
// One object may be given to several VMs; that is how a test runs "two workers". The two real stores differ in what
// cas 0 means, and in numbering: Envoy counts over all keys, ngx_wasm_module per key from 1. A guest must not
// tell them apart by number, so this store counts over all keys. Unbounded: it is a test's and a tool's store.
import { Status } from "./abi.ts";

export interface SharedValue {
  readonly value: Buffer;
  readonly cas: number;
}

export class SharedData {
  readonly #entries = new Map<string, { value: Buffer; cas: number }>();
  readonly #queues: { name: string; items: Buffer[] }[] = [];
  #cas = 0;

  /** The value and its cas number. Keys are byte strings. The value is the store's own: do not keep or change it. */
  get(key: string): SharedValue | undefined {
    return this.#entries.get(key);
  }

  /**
   * Stores a copy of `value`; null deletes. Returns a status: CasMismatch when `cas` is not the stored one.
   * @param cas0Overwrites cas 0 writes in any case (Envoy); else only when there is no such key (ngx_wasm_module).
   */
  set(key: string, value: Uint8Array | null, cas: number, cas0Overwrites: boolean): number {
    const entry = this.#entries.get(key);
    const matches = cas0Overwrites
      ? !entry || cas === 0 || cas === entry.cas
      : cas === (entry === undefined ? 0 : entry.cas);
    if (!matches) return Status.CasMismatch;
    if (value === null) return this.#entries.delete(key) ? Status.Ok : Status.CasMismatch;
    this.#cas = (this.#cas + 1) >>> 0 || 1;
    if (!entry) {
      this.#entries.set(key, { value: Buffer.from(value), cas: this.#cas });
    } else {
      if (entry.value.length === value.length) entry.value.set(value);
      else entry.value = Buffer.from(value);
      entry.cas = this.#cas;
    }
    return Status.Ok;
  }

  get size(): number {
    return this.#entries.size;
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** The id (from 1) of the queue `name`, created when it is new. */
  registerQueue(name: string): number {
    return this.resolveQueue(name) ?? this.#queues.push({ name, items: [] });
  }

  resolveQueue(name: string): number | undefined {
    const index = this.#queues.findIndex((queue) => queue.name === name);
    return index < 0 ? undefined : index + 1;
  }

  enqueue(id: number, item: Uint8Array): boolean {
    const queue = this.#queues[id - 1];
    queue?.items.push(Buffer.from(item));
    return queue !== undefined;
  }

  /** The oldest item; "empty" when there is none, undefined when there is no such queue. */
  dequeue(id: number): Buffer | "empty" | undefined {
    const queue = this.#queues[id - 1];
    return queue && (queue.items.shift() ?? "empty");
  }
}
