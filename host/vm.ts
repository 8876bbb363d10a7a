// One Wasm VM as a real proxy worker has it: a module instance, its root contexts, its streams and its callouts.
//
// The guest is entered through `run` alone, which knows the phase and the current context, and never nests: what a
// host function starts (continue, local response, callouts) takes effect when the guest has returned. Several VMs
// with one SharedData are the workers of one proxy. A VM that trapped is rebuilt before its next stream
// (Envoy's FAIL_RELOAD, without its back-off).

import { randomFillSync } from "node:crypto";
import {
  BufferType,
  type GuestExports,
  type GuestFunction,
  type LogLevelName,
  MapType,
  Phase,
  phaseName,
  Status,
} from "./abi.ts";
import type { Body } from "./body.ts";
import { CalloutTable } from "./callout-table.ts";
import type { CalloutDispatcher } from "./callouts.ts";
import { type Clock, FakeClock } from "./clock.ts";
import { GuestTrap, HostViolation } from "./errors.ts";
import { streamImports } from "./imports-stream.ts";
import { traps, vmImports, wasiImports } from "./imports-vm.ts";
import type { HeaderMap } from "./maps.ts";
import { GuestMemory } from "./memory.ts";
import { Metrics } from "./metrics.ts";
import { PROFILES, type Profile, type ProfileName } from "./profiles.ts";
import { type Properties, property } from "./properties.ts";
import { type PluginOptions, RootContext } from "./root.ts";
import { SharedData } from "./shared-data.ts";
import { Stream } from "./stream.ts";

export type LogSink = (level: LogLevelName, message: string) => void;

export interface VmOptions {
  /** The module, or its bytes. */
  wasm: Uint8Array | WebAssembly.Module;
  profile: ProfileName;
  /** Root contexts, each with its configuration. */
  plugins?: PluginOptions[];
  /** Shared by all VMs that are given the same one. Default: its own. */
  shared?: SharedData;
  metrics?: Metrics;
  /** Default: a fake clock. */
  clock?: Clock;
  log?: LogSink;
  /** Default: every callout fails with "broken connection". */
  callouts?: CalloutDispatcher;
  /** Targets that callouts may name; others are refused at once. Default: any. */
  targets?: readonly string[];
  /** Envoy's plugin option (default true): headers can be held while the body is read. */
  allowOnHeadersStopIteration?: boolean;
  /** Envoy's buffer limit, or nginx's client_body_buffer_size, in bytes. Default: the host's own default. */
  bodyBufferBytes?: number;
  /** Throw traps and violations to the caller (default), or act on them as the host does. Envoy's traps never throw. */
  strict?: boolean;
  /** Properties of every stream; see Stream.properties. */
  properties?: Properties;
  vmConfiguration?: string | Uint8Array;
  /** Fills bytes for WASI's `random_get`. Default: the system's generator. */
  random?: (bytes: Uint8Array) => void;
}

const NOTHING: Properties = new Map();

export class Vm {
  readonly profile: Profile;
  readonly options: VmOptions;
  readonly module: WebAssembly.Module;
  readonly shared: SharedData;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly bodyBufferBytes: number;
  readonly holdsHeaders: boolean;
  readonly strict: boolean;
  readonly roots: RootContext[] = [];
  exports!: GuestExports;
  memory!: GuestMemory;
  /** The phase bit of the callback that is running. */
  phase: number = Phase.Idle;
  /** How often the instance was built. Callouts of an older one are not delivered. */
  generation = 0;
  readonly callouts: CalloutTable;
  /** Callouts made since the running callback began. */
  dispatched = 0;

  readonly #imports: WebAssembly.Imports;
  readonly #streams = new Map<number, Stream>();
  readonly #touched: Stream[] = [];
  #effective = 0;
  #nextContext = 1;
  #dead = false;

  constructor(options: VmOptions) {
    this.options = options;
    this.profile = PROFILES[options.profile];
    this.shared = options.shared ?? new SharedData();
    this.metrics = options.metrics ?? new Metrics();
    this.clock = options.clock ?? new FakeClock();
    this.bodyBufferBytes = options.bodyBufferBytes ?? this.profile.bodyBufferBytes;
    this.holdsHeaders = options.allowOnHeadersStopIteration ?? true;
    this.strict = options.strict ?? true;
    this.callouts = new CalloutTable(this);
    this.module =
      options.wasm instanceof WebAssembly.Module
        ? options.wasm
        : new WebAssembly.Module(options.wasm as BufferSource);
    this.#imports = {
      env: traps(this, { ...vmImports(this), ...streamImports(this) }),
      wasi_snapshot_preview1: wasiImports(this, options.random ?? randomFillSync),
    };
    this.#link();
    this.#instantiate();
  }

  /** The guest trapped, or broke a rule; the next stream gets a new instance. */
  get dead(): boolean {
    return this.#dead;
  }

  /** The status of a host call whose result the guest had no room for. */
  get noRoom(): number {
    return this.profile.trapsOnMisuse ? Status.InternalFailure : Status.InvalidMemory;
  }

  #link(): void {
    for (const { module, name } of WebAssembly.Module.imports(this.module)) {
      if (module === "env" && name === "proxy_get_log_level" && this.profile.unlinked.has(name)) {
        throw new HostViolation("import-get-log-level", this.profile.name);
      }
      if (!(name in (this.#imports[module] ?? {}))) {
        throw new HostViolation("import-unknown", `${module}.${name} in ${this.profile.name}`);
      }
    }
  }

  #instantiate(): void {
    this.generation++;
    this.#dead = false;
    const instance = new WebAssembly.Instance(this.module, this.#imports);
    this.exports = instance.exports as unknown as GuestExports;
    this.memory = new GuestMemory(this.exports);
    const start = this.exports._initialize ?? this.exports._start;
    if (start) this.run(Phase.Create, 0, start, 0, 0, 0, 0);
  }

  /**
   * Adds a root context and configures it. False (and `root.ok`) when the guest refuses its start or
   * configuration. Envoy tries it on a VM of its own first, whose side effects on shared data are real.
   */
  addRoot(options: PluginOptions): RootContext {
    if (this.profile.canary) {
      const canary = new Vm({ ...this.options, plugins: [] });
      const tried = new RootContext(canary.#nextContext++, options);
      if (!canary.#configure(tried)) return tried;
    }
    const root = new RootContext(this.#nextContext++, options);
    const isServing = this.roots.some(({ ok }) => ok);
    if (!this.#configure(root) && this.profile.canary && isServing)
      throw new HostViolation("configure-beside-others", root.configuration.toString());
    return root;
  }

  #configure(root: RootContext): boolean {
    this.roots.push(root);
    const { proxy_on_context_create, proxy_on_vm_start, proxy_on_configure } = this.exports;
    const vmConfigured = this.options.vmConfiguration?.length ?? 0;
    try {
      this.run(Phase.Create, root.id, proxy_on_context_create, 0, 0, 0, 0);
      root.ok =
        this.run(Phase.Start, root.id, proxy_on_vm_start, vmConfigured, 0, 0, 1) !== 0 &&
        this.run(Phase.Configure, root.id, proxy_on_configure, root.configuration.length, 0, 0, 1) !== 0;
    } catch (error) {
      if (error instanceof HostViolation || this.surfaces(error)) throw error;
      root.ok = false;
    }
    return root.ok;
  }

  /** Whether `error` goes to the caller; else the host acts on it. Envoy always acts on traps. */
  surfaces(error: unknown): boolean {
    if (error instanceof GuestTrap) return this.strict && this.profile.failsOpen;
    return !(error instanceof HostViolation) || this.strict || !this.profile.failsOpen;
  }

  /** Enters the guest. A missing callback answers `missing`. Throws GuestTrap or HostViolation; then the VM is dead. */
  run(
    phase: number,
    context: number,
    fn: GuestFunction | undefined,
    a: number,
    b: number,
    c: number,
    missing: number,
    d = 0,
  ): number {
    if (!fn) return missing;
    if (this.#dead) throw new GuestTrap(phase, new Error("the VM has trapped before"));
    this.phase = phase;
    this.#effective = this.callouts.actingStream || context;
    this.dispatched = 0;
    try {
      return fn(context, a, b, c, d) ?? 0;
    } catch (error) {
      this.#dead = true;
      throw error instanceof HostViolation ? error : new GuestTrap(phase, error);
    } finally {
      this.phase = Phase.Idle;
      while (this.#touched.length > 0) this.#touched.pop()!.wake();
    }
  }

  // Streams

  /** Opens a stream on the first root (or `root`). Rebuilds the VM first when it has trapped. */
  openStream(properties: Properties = NOTHING, root: RootContext | undefined = this.roots[0]): Stream {
    if (this.#dead) this.reload();
    const own = this.roots.find((r) => r.id === root?.id);
    if (!own?.ok) throw new Error("the VM has no root context that accepted its configuration");
    const stream = new Stream(this, own, this.#nextContext++, properties);
    this.#streams.set(stream.id, stream);
    return stream;
  }

  closeStream(stream: Stream): void {
    this.#streams.delete(stream.id);
  }

  get streams(): ReadonlyMap<number, Stream> {
    return this.#streams;
  }

  /** Builds the instance anew and configures its roots again; streams of the old one have failed. */
  reload(): void {
    const roots = this.roots.splice(0);
    this.failStreams();
    this.#streams.clear();
    this.#instantiate();
    for (const root of roots) this.#configure(root.again());
  }

  /** After a trap: all streams of this VM fail as the one that trapped did. */
  failStreams(): void {
    for (const stream of [...this.#streams.values()]) stream.fail(Phase.Idle);
  }

  /** The stream a host function acts on. */
  get stream(): Stream | undefined {
    return this.#streams.get(this.#effective);
  }

  /** The root context a host function acts on. */
  get root(): RootContext | undefined {
    return this.stream?.root ?? this.roots.find((root) => root.id === this.#effective);
  }

  setEffective(id: number): number {
    if (this.profile.contextFixed && id !== this.#effective && this.#streams.has(id)) {
      throw new HostViolation("effective-context-fixed", `stream ${id} in ${phaseName(this.phase)}`);
    }
    if (this.profile.contextFixed) return Status.Ok;
    if (!this.#streams.has(id) && !this.roots.some((root) => root.id === id)) {
      return Status.BadArgument;
    }
    this.#effective = id;
    return Status.Ok;
  }

  /** Wakes the stream's driver when the guest has returned. */
  touch(stream: Stream): void {
    if (this.phase === Phase.Idle) stream.wake();
    else this.#touched.push(stream);
  }

  doneByGuest(): number {
    return this.stream?.finishDone() ? Status.Ok : Status.NotFound;
  }

  // What host functions read

  log(level: LogLevelName, message: string): void {
    this.options.log?.(level, message);
  }

  map(type: number): HeaderMap | null {
    if (type === MapType.CalloutHeaders) return this.callouts.headers;
    if (type === MapType.CalloutTrailers) return this.callouts.trailers;
    return this.stream?.map(type) ?? null;
  }

  buffer(type: number): Body | Uint8Array | null {
    switch (type) {
      case BufferType.RequestBody:
      case BufferType.ResponseBody:
        return this.stream?.buffer(type) ?? null;
      case BufferType.CalloutBody:
        return this.callouts.body;
      case BufferType.VmConfiguration:
        return Buffer.from((this.options.vmConfiguration ?? "") as string);
      case BufferType.PluginConfiguration:
        return this.phase === Phase.Configure || this.profile.trapsOnMisuse
          ? (this.root?.configuration ?? null)
          : null;
      default:
        return null;
    }
  }

  property(path: string): Uint8Array | undefined {
    return property(this, path);
  }

  setProperty(path: string, value: Uint8Array): number {
    const stream = this.stream;
    if (!stream) return Status.NotFound;
    const dotted = path.replaceAll("\0", ".").replace(/\.$/, "");
    if (this.profile.trapsOnMisuse && !/^(ngx|wasmx)\./.test(dotted)) return Status.NotFound;
    stream.setProperty(dotted, value);
    return Status.Ok;
  }

  /** Resolves when no callout is pending; throws what went wrong in callouts that no stream waited for. */
  settled(): Promise<void> {
    return this.callouts.settled();
  }

  // Ticks

  /** Runs the tick callback of `root` now, whatever its period says. */
  tick(root: RootContext | undefined = this.roots[0]): void {
    if (this.#dead) this.reload();
    const own = this.roots.find((r) => r.id === root?.id);
    if (!own?.ok) return;
    try {
      this.run(Phase.Tick, own.id, this.exports.proxy_on_tick, 0, 0, 0, 0);
    } catch (error) {
      if (this.surfaces(error)) throw error;
      this.failStreams();
    }
  }

  /** Runs every tick that is due by the clock, once each, and sets when the next one is. */
  tickDue(): void {
    const now = this.clock.monotonic();
    for (const root of this.roots) {
      if (root.tickMs === 0 || root.tickAt > now) continue;
      root.setTick(root.tickMs, now);
      this.tick(root);
    }
  }
}

/** Builds a VM and configures its plugins; `roots[i].ok` says whether each was accepted. */
export function createVm(options: VmOptions): Vm {
  const vm = new Vm(options);
  for (const plugin of options.plugins ?? []) vm.addRoot(plugin);
  return vm;
}

/** Moves a fake clock on by `ms` and runs the ticks of `vms` that fall due on the way, at their times. */
export async function advance(clock: FakeClock, vms: readonly Vm[], ms: number): Promise<void> {
  const end = clock.monotonic() + BigInt(Math.round(ms * 1e6));
  for (;;) {
    let next = end;
    for (const vm of vms) {
      for (const root of vm.roots) if (root.tickMs > 0 && root.tickAt < next) next = root.tickAt;
    }
    if (next > clock.monotonic()) clock.move(Number(next - clock.monotonic()) / 1e6);
    for (const vm of vms) vm.tickDue();
    for (const vm of vms) await vm.settled();
    if (next >= end) return;
  }
}
