// A root context: one plugin configuration inside a VM. One VM may hold several (one per route in Kong).

export interface PluginOptions {
  /** What `proxy_on_configure` reads: the policy. */
  configuration: string | Uint8Array;
  /** `plugin_root_id`; default empty. */
  rootId?: string;
  /** `plugin_name`; default "weir". */
  name?: string;
}

export class RootContext {
  readonly id: number;
  readonly rootId: string;
  readonly name: string;
  readonly configuration: Buffer;
  /** Whether start and configuration both answered true. */
  ok = false;
  /** Tick period in milliseconds; 0: no tick. */
  tickMs = 0;
  /** When the next tick is due, nanoseconds of the monotonic clock. */
  tickAt = 0n;

  constructor(id: number, options: PluginOptions) {
    this.id = id;
    this.rootId = options.rootId ?? "";
    this.name = options.name ?? "weir";
    this.configuration = Buffer.from(options.configuration as string);
  }

  setTick(ms: number, now: bigint): void {
    this.tickMs = ms;
    this.tickAt = now + BigInt(ms) * 1_000_000n;
  }

  /** A fresh root for a rebuilt VM. */
  again(): RootContext {
    return new RootContext(this.id, this);
  }
}
