// Calls to the sidecar: what is common to Acquire, Settle, CompileRules and the reports of events. gRPC-Web over an ordinary HTTP
// callout, with the trace of the request for whose sake the call is made.
import { BufferType, MapType } from "./proxy-wasm/abi";
import { callout } from "./proxy-wasm/callouts";
import { header, HeaderList } from "./proxy-wasm/headers";
import { bufferBytes } from "./proxy-wasm/host";
import { is, lit, NONE, Slice } from "./slice";
import { Policy } from "./policy/policy";
import { unframe } from "./wire";
import { Writer } from "./writer";

/** What a callout is for. */
export enum Purpose {
  Acquire = 1,
  Settle = 2,
  /** What an outage let through: opened or reported (budget/repay.ts). */
  Debts = 3,
  /** Events of requests (events/report.ts). */
  Events = 4,
  /** The policy's own rules (own-rules.ts). */
  CompileRules = 5,
}

const METHOD = lit(":method");
const POST = lit("POST");
const PATH = lit(":path");
const SCHEME = lit(":scheme");
const HTTP = lit("http");
const AUTHORITY = lit(":authority");
const SIDECAR = lit("weir-ledger");
const CONTENT_TYPE = lit("content-type");
const GRPC_WEB = lit("application/grpc-web+proto");
const X_GRPC_WEB = lit("x-grpc-web");
const ONE = lit("1");
const STATUS = lit(":status");
const ACQUIRE = lit("/weir.v1.Ledger/Acquire");
const SETTLE = lit("/weir.v1.Ledger/Settle");
const COMPILE_RULES = lit("/weir.v1.Control/CompileRules");
const EVENTS = lit("/weir.v1.Events/Report");
const TRACE = lit("traceparent");

const headers = new HeaderList(8, 384);

/** Calls that were made, by what they say. */
export let acquireCalls: u64 = 0;
export let settleCalls: u64 = 0;
export let rulesCalls: u64 = 0;
export let eventCalls: u64 = 0;
/** Calls, those with events aside, that the host would not make, and such without an answer that is a message. */
export let failedCalls: u64 = 0;

/** The traceparent that calls have until the next `carry`; NONE: none. */
const parent = new Writer(64);

/** Calls that follow belong to the trace that `traceparent` (NONE: none) names. */
export function carry(traceparent: Slice): void {
  parent.reset().bytes(traceparent);
}

/** Sends the ledger one framed message, an Acquire if it `asks`, else a Settle; false when the host would not take it. */
export function callLedger(
  policy: Policy,
  purpose: Purpose,
  reference: i32,
  asks: bool,
  message: Slice,
): bool {
  const path = asks ? ACQUIRE : SETTLE;
  if (!call(policy.cluster, policy.timeoutMs, path, purpose, reference, message)) {
    failedCalls++;
    return false;
  }
  if (asks) acquireCalls++;
  else settleCalls++;
  return true;
}

/** Sends framed rules to be compiled; false when the host would not take it. */
export function callCompiler(policy: Policy, reference: i32, message: Slice): bool {
  if (!call(policy.cluster, policy.timeoutMs, COMPILE_RULES, Purpose.CompileRules, reference, message)) {
    failedCalls++;
    return false;
  }
  rulesCalls++;
  return true;
}

/** Sends a framed report of events to the sidecar at `cluster`; false when the host would not take it. */
export function callEvents(cluster: Slice, timeoutMs: i32, reference: i32, message: Slice): bool {
  if (!call(cluster, timeoutMs, EVENTS, Purpose.Events, reference, message)) return false;
  eventCalls++;
  return true;
}

function call(
  cluster: Slice,
  timeoutMs: i32,
  path: Slice,
  purpose: Purpose,
  reference: i32,
  message: Slice,
): bool {
  headers
    .reset()
    .add(METHOD, POST)
    .add(PATH, path)
    .add(AUTHORITY, SIDECAR)
    .add(SCHEME, HTTP)
    .add(CONTENT_TYPE, GRPC_WEB)
    .add(X_GRPC_WEB, ONE);
  if (parent.length > 0) headers.add(TRACE, parent.written);
  return callout(cluster, headers.serialised, message, timeoutMs, purpose, reference);
}

/** The message that the sidecar answered; NONE on any failure: timeout, connection, HTTP or gRPC status. */
export function sidecarAnswer(purpose: Purpose, bodySize: i32): Slice {
  const message = messageOf(bodySize);
  if (message == NONE && purpose != Purpose.Events) failedCalls++;
  return message;
}

function messageOf(bodySize: i32): Slice {
  if (bodySize <= 0 || !is(header(MapType.CalloutResponseHeaders, STATUS), "200")) return NONE;
  const body = bufferBytes(BufferType.CalloutResponseBody, bodySize);
  return body == NONE ? NONE : unframe(body);
}
