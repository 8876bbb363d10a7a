// The module's exports: proxy-wasm's callbacks, each handed to the flow. Nothing is decided here.
import { finishDebts } from "./budget/repay";
import { finishReport } from "./budget/settle";
import { sidecarAnswer, Purpose } from "./sidecar";
import "./proxy-wasm/abort";
import { arenaReset, arenaTake } from "./proxy-wasm/arena";
import { answered, calloutPurpose, calloutReference } from "./proxy-wasm/callouts";
import { now } from "./proxy-wasm/host";
import { onReported } from "./observe-report";
import { onRequestBody, onRequestHeaders, onRequestTrailers } from "./request";
import { onAcquired } from "./request-budget";
import { onLog, onResponseBody, onResponseHeaders, onResponseTrailers } from "./response";
import { onConfigure, onContextCreate, onRootDelete, onRulesCompiled, onTick, seed } from "./root";
import { closeStream, findStream } from "./stream";

export { packDirectory } from "./packs";

/** The ABI's version, told by the name of an export. */
export function proxy_abi_version_0_2_1(): void {}

/** Memory for what the host hands over; 0 when the arena is full, which the host turns into an error. */
export function proxy_on_memory_allocate(size: i32): usize {
  return size < 0 ? 0 : arenaTake(<usize>size);
}

export function proxy_on_context_create(context: u32, parent: u32): void {
  onContextCreate(context, parent);
}

export function proxy_on_vm_start(root: u32, size: i32): i32 {
  return 1;
}

export function proxy_on_configure(root: u32, size: i32): i32 {
  arenaReset();
  return onConfigure(root, size) ? 1 : 0;
}

export function proxy_on_tick(root: u32): void {
  arenaReset();
  onTick(root);
}

export function proxy_on_request_headers(context: u32, headers: i32, end: i32): i32 {
  arenaReset();
  return onRequestHeaders(context, end != 0, seed);
}

export function proxy_on_request_body(context: u32, size: i32, end: i32): i32 {
  arenaReset();
  return onRequestBody(context, size, end != 0);
}

export function proxy_on_request_trailers(context: u32, trailers: i32): i32 {
  arenaReset();
  return onRequestTrailers(context);
}

export function proxy_on_response_headers(context: u32, headers: i32, end: i32): i32 {
  arenaReset();
  return onResponseHeaders(context, end != 0);
}

export function proxy_on_response_body(context: u32, size: i32, end: i32): i32 {
  arenaReset();
  return onResponseBody(context, size, end != 0);
}

export function proxy_on_response_trailers(context: u32, trailers: i32): i32 {
  arenaReset();
  return onResponseTrailers(context);
}

export function proxy_on_http_call_response(
  context: u32,
  token: u32,
  headers: i32,
  size: i32,
  trailers: i32,
): void {
  arenaReset();
  if (!answered(token)) return;
  // The table's entry is free from here on: what it was for is read first.
  const purpose = calloutPurpose();
  const reference = calloutReference();
  const answer = sidecarAnswer(<Purpose>purpose, size);
  if (purpose == Purpose.Acquire) onAcquired(reference, answer);
  else if (purpose == Purpose.Events) onReported(reference, answer);
  else if (purpose == Purpose.Settle) finishReport(reference, answer, now());
  else if (purpose == Purpose.CompileRules) onRulesCompiled(reference, answer);
  else finishDebts(reference, answer, now());
}

export function proxy_on_log(context: u32): void {
  arenaReset();
  onLog(context);
}

export function proxy_on_delete(context: u32): void {
  if (findStream(context) != null) closeStream(context);
  else onRootDelete(context);
}
