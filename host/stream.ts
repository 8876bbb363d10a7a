// One HTTP stream in the guest: its callbacks one by one, what they may return, and what is held afterwards.
//
// This is the low-level interface: a caller gives headers and chunks and looks at what is held; `exchange` drives it
// as a whole proxy does. Each direction is a Side:
//
//     headersHeld   the headers have not gone on
//     stopAll       nothing reaches the guest until it continues
//     buffering     body chunks pile up, and the guest sees all of them each time
//
// The hold rules are Envoy's filter manager's and nginx's; which apply, the profile says.
import {
  BodyAction,
  BufferType,
  type GuestFunction,
  HeadersAction,
  MapType,
  type Pairs,
  Phase,
  phaseName,
} from "./abi.ts";
import { Body } from "./body.ts";
import { HostViolation } from "./errors.ts";
import { HeaderMap } from "./maps.ts";
import type { Properties, PropertyValue } from "./properties.ts";
import type { RootContext } from "./root.ts";
import type { Rule } from "./rules.ts";
import type { Vm } from "./vm.ts";

export interface LocalResponse {
  status: number;
  details: string;
  headers: Pairs;
  body: Uint8Array;
  /** Who made it: the guest, or the host itself (413, trap, no upstream). */
  from: "guest" | "host";
}

export class Side {
  headers: HeaderMap | null = null;
  trailers: HeaderMap | null = null;
  /** The guest can reach the header map. */
  visible = false;
  readonly body = new Body();
  /** The guest's body callback runs now. */
  inCallback = false;
  headersHeld = false;
  stopAll = false;
  buffering = false;
  /** A body callback paused at least once. */
  bodyPaused = false;
  /** Body bytes that arrived. */
  seen = 0;

  get held(): boolean {
    return this.headersHeld || this.stopAll || this.buffering;
  }

  release(): void {
    this.headersHeld = false;
    this.stopAll = false;
    this.buffering = false;
  }
}

const EMPTY = new Uint8Array(0);
const FAILED = -1;

export class Stream {
  readonly vm: Vm;
  readonly root: RootContext;
  readonly id: number;
  readonly request = new Side();
  readonly response = new Side();
  /** The local response that was asked for; the driver answers with it. */
  local: LocalResponse | null = null;
  /** Why the stream was reset; empty: it was not. */
  resetReason = "";
  /** The client is gone. */
  aborted = false;
  /** The first response headers went to the client. */
  responseStarted = false;
  /** The guest is out of this stream: it trapped. */
  bypassed = false;
  /** Log, done and delete have run. */
  over = false;
  /** `response.code_details` */
  details = "";
  calloutsPending = 0;

  readonly #given: Properties;
  readonly #set = new Map<string, PropertyValue>();
  #created = false;
  #awaitsDone = false;
  #fault: unknown;
  #wake: (() => void) | undefined;

  /** Made by `vm.openStream`. */
  constructor(vm: Vm, root: RootContext, id: number, properties: Properties) {
    this.vm = vm;
    this.root = root;
    this.id = id;
    this.#given = properties;
  }

  // Callbacks in order of a request's life. Each returns the guest's action; holds are in `request` and `response`.

  onRequestHeaders(headers: Pairs, endOfStream: boolean): number {
    const { exports } = this.vm;
    if (!this.#created) {
      this.#created = true;
      this.#call(Phase.Create, exports.proxy_on_context_create, this.root.id, 0);
    }
    this.request.headers = new HeaderMap(headers);
    // nginx never says the end here.
    const end = endOfStream && !this.vm.profile.wholeRequestBody;
    return this.#headers(Phase.RequestHeaders, this.request, exports.proxy_on_request_headers, end);
  }

  onRequestBody(chunk: Uint8Array, endOfStream: boolean): number {
    return this.#body(
      Phase.RequestBody,
      this.request,
      this.vm.exports.proxy_on_request_body,
      chunk,
      endOfStream,
    );
  }

  /** Trailers end the message: no body callback had the end. Envoy only. */
  onRequestTrailers(trailers: Pairs): number {
    const { proxy_on_request_trailers } = this.vm.exports;
    return this.#trailers(Phase.RequestTrailers, this.request, proxy_on_request_trailers, trailers);
  }

  onResponseHeaders(headers: Pairs, endOfStream: boolean): number {
    this.response.headers = new HeaderMap(headers);
    const { proxy_on_response_headers } = this.vm.exports;
    return this.#headers(Phase.ResponseHeaders, this.response, proxy_on_response_headers, endOfStream);
  }

  onResponseBody(chunk: Uint8Array, endOfStream: boolean): number {
    const { proxy_on_response_body } = this.vm.exports;
    return this.#body(Phase.ResponseBody, this.response, proxy_on_response_body, chunk, endOfStream);
  }

  onResponseTrailers(trailers: Pairs): number {
    const { proxy_on_response_trailers } = this.vm.exports;
    return this.#trailers(Phase.ResponseTrailers, this.response, proxy_on_response_trailers, trailers);
  }

  onLog(): void {
    this.#call(Phase.Log, this.vm.exports.proxy_on_log, 0, 0);
  }

  /** False: the guest will call proxy_done later, and is deleted then. */
  onDone(): boolean {
    this.#awaitsDone = this.#call(Phase.Done, this.vm.exports.proxy_on_done, 0, 0, 1) === 0;
    return !this.#awaitsDone || this.vm.profile.trapsOnMisuse;
  }

  onDelete(): void {
    this.#call(Phase.Delete, this.vm.exports.proxy_on_delete, 0, 0);
    this.vm.closeStream(this);
  }

  /** The end of a stream in every case: log, done, delete. */
  end(): void {
    if (this.over) return;
    this.over = true;
    if (!this.#created || this.vm.dead) {
      this.vm.closeStream(this);
      return;
    }
    this.onLog();
    if (this.onDone()) this.onDelete();
  }

  // Rules

  #call(phase: number, fn: GuestFunction | undefined, a: number, b: number, missing = 0): number {
    if (this.bypassed) return missing;
    try {
      return this.vm.run(phase, this.id, fn, a, b, 0, missing);
    } catch (error) {
      this.bypassed = true;
      if (this.vm.surfaces(error)) throw error;
      this.bypassed = false;
      this.fail(phase);
      this.vm.failStreams();
      return FAILED;
    }
  }

  #headers(phase: number, side: Side, fn: GuestFunction | undefined, end: boolean): number {
    side.visible = true;
    const action = this.#call(phase, fn, side.headers!.size, end ? 1 : 0);
    if (action === FAILED) return action;
    this.#checkAction(phase, action);
    if (this.vm.profile.headersLeave && action === HeadersAction.Continue) side.visible = false;
    const stops = action !== HeadersAction.Continue;
    side.headersHeld = stops;
    // Envoy turns StopIteration into StopAll unless the plugin's option is set; nginx reads no body while paused.
    const onlyHeaders = action === HeadersAction.Stop && this.vm.holdsHeaders;
    side.stopAll = stops && (!onlyHeaders || this.vm.profile.wholeRequestBody);
    return action;
  }

  #body(phase: number, side: Side, fn: GuestFunction | undefined, chunk: Uint8Array, end: boolean): number {
    if (!side.buffering) side.body.clear();
    side.body.append(chunk);
    side.seen += chunk.length;
    side.inCallback = true;
    const action = this.#call(phase, fn, side.body.length, end ? 1 : 0);
    side.inCallback = false;
    if (action === FAILED) return action;
    this.#checkAction(phase, action);
    if (action === BodyAction.Continue) {
      side.release();
      return action;
    }
    side.bodyPaused = true;
    side.buffering = true;
    if (action === BodyAction.StopNoBuffer) side.body.clear();
    if (action === BodyAction.StopAndBuffer && !this.vm.profile.wholeRequestBody)
      this.#checkLimit(phase, side);
    return action;
  }

  /** A guest that lets the trailers go on, or does not know of them, lets all go on that is held. */
  #trailers(phase: number, side: Side, fn: GuestFunction | undefined, trailers: Pairs): number {
    side.trailers = new HeaderMap(trailers);
    const action = this.#call(phase, fn, side.trailers.size, 0);
    if (action === HeadersAction.Continue) side.release();
    else if (action !== FAILED) side.stopAll = true;
    return action;
  }

  #checkAction(phase: number, action: number): void {
    if (!this.vm.profile.binaryActions) return;
    if (action !== 0 && action !== 1) this.#breach("action-not-0-or-1", `${action} from ${phaseName(phase)}`);
    if (action === 1 && phase === Phase.ResponseHeaders) this.#breach("response-headers-pause", "1");
    if (action === 1 && phase === Phase.ResponseBody) this.#breach("response-body-pause", "1");
    if (this.vm.dispatched > 0 && action !== 1 && !this.local) {
      this.#breach("dispatch-without-pause", `${action} from ${phaseName(phase)}`);
    }
  }

  #breach(rule: Rule, detail: string): void {
    const violation = new HostViolation(rule, detail);
    if (this.vm.surfaces(violation)) throw violation;
    this.fail(Phase.RequestHeaders);
  }

  /** Envoy keeps at most its buffer limit of a body for a filter that buffers. */
  #checkLimit(phase: number, side: Side): void {
    if (side.body.length <= this.vm.bodyBufferBytes || this.local) return;
    if (phase === Phase.RequestBody) {
      this.#answer(413, "request_payload_too_large", "Payload Too Large");
    } else if (!this.responseStarted) {
      this.#answer(500, "response_payload_too_large", "Internal Server Error");
    } else {
      this.reset("response_payload_too_large");
    }
  }

  #answer(status: number, details: string, text: string): void {
    this.respondLocally({ status, details, headers: [], body: Buffer.from(text), from: "host" });
  }

  // What host functions ask for

  map(type: number): HeaderMap | null {
    if (type === MapType.RequestTrailers) return this.request.trailers;
    if (type === MapType.ResponseTrailers) return this.response.trailers;
    const side =
      type === MapType.RequestHeaders
        ? this.request
        : type === MapType.ResponseHeaders
          ? this.response
          : null;
    if (!side) return null;
    return side.visible || !this.vm.profile.headersLeave || this.vm.phase === Phase.Log ? side.headers : null;
  }

  buffer(type: number): Body | Uint8Array | null {
    const side = type === BufferType.RequestBody ? this.request : this.response;
    if (!this.vm.profile.wholeRequestBody) return side.inCallback || side.buffering ? side.body : EMPTY;
    if (!side.inCallback || side.body.length === 0) return null;
    // nginx has written it to a file, where the guest does not find it.
    if (side === this.request && side.body.length > this.vm.bodyBufferBytes) return null;
    return side.body;
  }

  respondLocally(response: LocalResponse): void {
    this.local = response;
    this.details = response.details;
    this.vm.touch(this);
  }

  requestContinue(type: number): void {
    (type === 0 ? this.request : this.response).release();
    this.request.visible = false;
    this.vm.touch(this);
  }

  reset(reason: string): void {
    this.resetReason = reason;
    this.vm.touch(this);
  }

  finishDone(): boolean {
    if (!this.#awaitsDone) return false;
    this.#awaitsDone = false;
    queueMicrotask(() => this.onDelete());
    return true;
  }

  ownProperty(path: string): PropertyValue | undefined {
    return this.#set.get(path) ?? this.#given.get(path);
  }

  setProperty(path: string, value: Uint8Array): void {
    this.#set.set(path, value);
  }

  // What happens to the stream from outside

  /** The guest trapped in `phase` (Idle: in another stream of the same VM). */
  fail(phase: number): void {
    if (this.bypassed || this.over) return;
    this.bypassed = true;
    const { profile } = this.vm;
    const inRequest = phase === Phase.RequestHeaders || phase === Phase.RequestBody;
    if (profile.failsOpen && !inRequest) {
      this.request.release();
      this.response.release();
    } else if (this.responseStarted) {
      this.reset("wasm_fail_stream");
    } else {
      this.#answer(profile.trapStatus, "wasm_fail_stream", "");
    }
    this.vm.touch(this);
  }

  /** All callouts of this stream have answered (nginx then goes on by itself). */
  calloutsAnswered(): void {
    if (this.calloutsPending > 0) return;
    this.request.release();
    this.wake();
  }

  /** The client is gone: nothing but log, done and delete comes now. */
  abort(): void {
    this.aborted = true;
    this.wake();
  }

  /** Hands an error from a callout's callback to whoever waits for this stream. */
  raise(error: unknown): void {
    this.#fault = error;
    this.wake();
  }

  /** The driver has to stop what it does and look. */
  get interrupted(): boolean {
    return this.local !== null || this.aborted || this.resetReason !== "" || this.#fault !== undefined;
  }

  /** Throws an error that came from a callout's callback. */
  check(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /**
   * Resolves when `side` is held no longer (with `stopAll` true: when chunks may come), or the stream is interrupted.
   * Throws a HostViolation when nothing is under way that could continue it.
   */
  async released(side: Side, stopAll = false): Promise<void> {
    while (!this.interrupted && (stopAll ? side.stopAll : side.held)) {
      if (this.vm.callouts.pending === 0) {
        const rule = side === this.request ? "request-hangs" : "response-hangs";
        throw new HostViolation(rule, `${side.stopAll ? "headers" : "body"} held, no callout is pending`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.check();
  }
}
