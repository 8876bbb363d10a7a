// The numbers of proxy-wasm ABI 0.2.1 that host and guest share, plus the host's own notion of a phase.
//
// Source: github.com/proxy-wasm/spec, abi-versions/v0.2.1. Phases are bits, so that a profile can say with one
// mask in which callbacks a host function may be called.

export const Status = {
  Ok: 0,
  NotFound: 1,
  BadArgument: 2,
  SerializationFailure: 3,
  ParseFailure: 4,
  InvalidMemory: 6,
  Empty: 7,
  CasMismatch: 8,
  InternalFailure: 10,
  BrokenConnection: 11,
  Unimplemented: 12,
} as const;

export const MapType = {
  RequestHeaders: 0,
  RequestTrailers: 1,
  ResponseHeaders: 2,
  ResponseTrailers: 3,
  CalloutHeaders: 6,
  CalloutTrailers: 7,
  Last: 7,
} as const;

export const BufferType = {
  RequestBody: 0,
  ResponseBody: 1,
  CalloutBody: 4,
  VmConfiguration: 6,
  PluginConfiguration: 7,
  Last: 8,
} as const;

export const StreamType = { Request: 0, Response: 1, Last: 3 } as const;

/** What a header callback may return. 2 (end of stream after headers) is not offered by either host. */
export const HeadersAction = { Continue: 0, Stop: 1, StopAllAndBuffer: 3, StopAllAndWatermark: 4 } as const;

/** What a body callback may return. */
export const BodyAction = { Continue: 0, StopAndBuffer: 1, StopAndWatermark: 2, StopNoBuffer: 3 } as const;

export const LogLevel = ["trace", "debug", "info", "warn", "error", "critical"] as const;
export type LogLevelName = (typeof LogLevel)[number];

export const Phase = {
  Idle: 0,
  Create: 1 << 0,
  Start: 1 << 1,
  Configure: 1 << 2,
  Tick: 1 << 3,
  RequestHeaders: 1 << 4,
  RequestBody: 1 << 5,
  ResponseHeaders: 1 << 6,
  ResponseBody: 1 << 7,
  Callout: 1 << 8,
  Log: 1 << 9,
  Done: 1 << 10,
  Delete: 1 << 11,
  Queue: 1 << 12,
  RequestTrailers: 1 << 13,
  ResponseTrailers: 1 << 14,
  Every: (1 << 15) - 1,
} as const;

/** The name of one phase bit, for messages. */
export function phaseName(phase: number): string {
  for (const [name, bit] of Object.entries(Phase)) if (bit === phase) return name;
  return String(phase);
}

/** Header pairs in wire order; names lower-case, values byte strings (one char per byte, as node:http has them). */
export type Pairs = [string, string][];

/** A guest callback. Contexts and sizes go in, an action or a truth value comes out. */
export type GuestFunction = (...args: number[]) => number | undefined;

/** The callbacks that the host calls when the guest exports them. */
export interface GuestExports {
  memory: WebAssembly.Memory;
  _initialize?: GuestFunction;
  _start?: GuestFunction;
  proxy_on_memory_allocate?: GuestFunction;
  malloc?: GuestFunction;
  proxy_on_context_create?: GuestFunction;
  proxy_on_vm_start?: GuestFunction;
  proxy_on_configure?: GuestFunction;
  proxy_on_tick?: GuestFunction;
  proxy_on_queue_ready?: GuestFunction;
  proxy_on_request_headers?: GuestFunction;
  proxy_on_request_body?: GuestFunction;
  proxy_on_request_trailers?: GuestFunction;
  proxy_on_response_headers?: GuestFunction;
  proxy_on_response_body?: GuestFunction;
  proxy_on_response_trailers?: GuestFunction;
  proxy_on_http_call_response?: GuestFunction;
  proxy_on_log?: GuestFunction;
  proxy_on_done?: GuestFunction;
  proxy_on_delete?: GuestFunction;
}
