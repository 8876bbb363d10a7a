// The callouts of one VM: which wait for an answer, and what the callback of the one that answered can read.
//
// Answers come in a later turn, never inside a host function. Unbounded, as in the hosts; a dispatcher's timeout ends
// each. An answer for an instance that was rebuilt meanwhile is dropped.
import { type Pairs, Phase } from "./abi.ts";
import type { CalloutReply } from "./callouts.ts";
import { HeaderMap } from "./maps.ts";
import type { RootContext } from "./root.ts";
import type { Stream } from "./stream.ts";
import type { Vm } from "./vm.ts";

interface Pending {
  origin: Stream | undefined;
  root: RootContext;
  generation: number;
}

const BROKEN: CalloutReply = { failure: "broken connection" };

export class CalloutTable {
  /** What the running callback can read; null outside of it. */
  headers: HeaderMap | null = null;
  trailers: HeaderMap | null = null;
  body: Uint8Array | null = null;
  /** Why the running callback's callout failed; empty: it did not. */
  failure = "";
  /** The stream that the running callback acts on where the guest cannot choose; 0: it can. */
  actingStream = 0;

  readonly #vm: Vm;
  readonly #pending = new Map<number, Pending>();
  readonly #faults: unknown[] = [];
  readonly #quiet: (() => void)[] = [];
  #nextToken = 1;

  constructor(vm: Vm) {
    this.#vm = vm;
  }

  /** Callouts that wait for an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  knows(target: string): boolean {
    return this.#vm.options.targets?.includes(target) ?? true;
  }

  /** Sends a callout for the effective context, which belongs to `root`. Returns the token. */
  send(root: RootContext, target: string, headers: Pairs, body: Uint8Array, timeoutMs: number): number {
    const vm = this.#vm;
    const token = this.#nextToken++;
    const origin = vm.stream;
    const pending: Pending = { origin, root, generation: vm.generation };
    this.#pending.set(token, pending);
    vm.dispatched++;
    if (origin) origin.calloutsPending++;
    const dispatch = vm.options.callouts;
    const reply = Promise.resolve().then(() => dispatch?.(target, headers, body, timeoutMs) ?? BROKEN);
    reply.then(
      (answer) => this.#deliver(token, pending, answer),
      () => this.#deliver(token, pending, BROKEN),
    );
    return token;
  }

  #deliver(token: number, { origin, root, generation }: Pending, reply: CalloutReply): void {
    const vm = this.#vm;
    this.#pending.delete(token);
    if (origin) origin.calloutsPending--;
    try {
      // ngx_wasm_module cancels the callouts of a request that ended or was answered; Envoy's belong to the root, and end with
      // it and its last stream.
      const cancelled = vm.profile.resumesAfterCallouts
        ? origin !== undefined && (origin.over || origin.local)
        : !vm.roots.includes(root) && ![...vm.streams.values()].some((stream) => stream.root === root);
      if (generation === vm.generation && !vm.dead && !cancelled) this.#answer(token, root, origin, reply);
      if (vm.profile.resumesAfterCallouts) origin?.calloutsAnswered();
    } catch (error) {
      if (!vm.surfaces(error)) vm.failStreams();
      else if (!origin || origin.over) this.#faults.push(error);
      else origin.raise(error);
    }
    if (this.pending === 0) for (const resolve of this.#quiet.splice(0)) resolve();
    // Whoever is held looks again whether anything can still continue it.
    for (const stream of [...vm.streams.values()]) stream.wake();
  }

  #answer(token: number, root: RootContext, origin: Stream | undefined, reply: CalloutReply): void {
    const { profile, exports } = this.#vm;
    let size = 0;
    if ("failure" in reply) {
      this.failure = reply.failure;
      if (profile.resumesAfterCallouts) this.headers = new HeaderMap([[":dispatch_status", reply.failure]]);
    } else {
      this.headers = new HeaderMap(reply.headers);
      this.trailers = new HeaderMap(reply.trailers);
      this.body = reply.body;
      size = reply.body.length;
    }
    const count = this.failure ? 0 : (this.headers?.size ?? 0);
    const trailers = this.trailers?.size ?? 0;
    this.actingStream = profile.contextFixed ? (origin?.id ?? 0) : 0;
    try {
      const callback = exports.proxy_on_http_call_response;
      this.#vm.run(Phase.Callout, root.id, callback, token, count, size, 0, trailers);
    } finally {
      this.headers = null;
      this.trailers = null;
      this.body = null;
      this.failure = "";
      this.actingStream = 0;
    }
  }

  /** Resolves when no callout is pending; throws what went wrong in callouts that no stream waited for. */
  async settled(): Promise<void> {
    while (this.pending > 0) await new Promise<void>((resolve) => this.#quiet.push(resolve));
    if (this.#faults.length > 0) throw this.#faults.shift();
  }
}
