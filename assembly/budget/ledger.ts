// Calls to the sidecar: what is common to Acquire, Settle and CompileRules. gRPC-Web over an ordinary HTTP callout.
import { BufferType, MapType } from "../proxy-wasm/abi";
import { callout } from "../proxy-wasm/callouts";
import { header, HeaderList } from "../proxy-wasm/headers";
import { bufferBytes } from "../proxy-wasm/host";
import { is, lit, NONE, Slice } from "../slice";
import { Policy } from "../policy/policy";
import { unframe } from "./wire";

/** What a callout is for. */
export enum Purpose {
  Acquire = 1,
  Settle = 2,
  /** What an outage let through: opened or reported (repay.ts). */
  Debts = 3,
  CompileRules = 4,
}

const METHOD = lit(":method");
const POST = lit("POST");
const PATH = lit(":path");
const SCHEME = lit(":scheme");
const HTTP = lit("http");
const AUTHORITY = lit(":authority");
const LEDGER = lit("weir-ledger");
const CONTENT_TYPE = lit("content-type");
const GRPC_WEB = lit("application/grpc-web+proto");
const X_GRPC_WEB = lit("x-grpc-web");
const ONE = lit("1");
const STATUS = lit(":status");
const ACQUIRE = lit("/weir.v1.Ledger/Acquire");
const SETTLE = lit("/weir.v1.Ledger/Settle");
const COMPILE_RULES = lit("/weir.v1.Control/CompileRules");

const headers = new HeaderList(8, 256);

/** Calls that were made, by what they say. */
export let acquireCalls: u64 = 0;
export let settleCalls: u64 = 0;
export let rulesCalls: u64 = 0;
/** Calls that the host would not make, and calls without an answer that is a message. */
export let failedCalls: u64 = 0;

/** Sends one framed message, an Acquire if it `asks`, else a Settle unless its purpose is another; false when the host would not take it. */
export function callLedger(
  policy: Policy,
  purpose: Purpose,
  reference: i32,
  asks: bool,
  message: Slice,
): bool {
  headers
    .reset()
    .add(METHOD, POST)
    .add(PATH, purpose == Purpose.CompileRules ? COMPILE_RULES : asks ? ACQUIRE : SETTLE)
    .add(AUTHORITY, LEDGER)
    .add(SCHEME, HTTP)
    .add(CONTENT_TYPE, GRPC_WEB)
    .add(X_GRPC_WEB, ONE);
  if (!callout(policy.cluster, headers.serialised, message, policy.timeoutMs, purpose, reference)) {
    failedCalls++;
    return false;
  }
  if (purpose == Purpose.CompileRules) rulesCalls++;
  else if (asks) acquireCalls++;
  else settleCalls++;
  return true;
}

/** The message that the ledger answered; NONE on any failure: timeout, connection, HTTP or gRPC status. */
export function ledgerAnswer(bodySize: i32): Slice {
  const message = messageOf(bodySize);
  if (message == NONE) failedCalls++;
  return message;
}

function messageOf(bodySize: i32): Slice {
  if (bodySize <= 0 || !is(header(MapType.CalloutResponseHeaders, STATUS), "200")) return NONE;
  const body = bufferBytes(BufferType.CalloutResponseBody, bodySize);
  return body == NONE ? NONE : unframe(body);
}
