// A refusal as the caller sees it: a status, headers and the JSON that OpenAI's clients turn into their typed
// errors. The stage that refused has written its message with `because` (or there is the reason's standing one).
import { beginError } from "./error-body";
import { CONTENT_TYPE, JSON_TYPE, RETRY_AFTER, SHOULD_RETRY, WEIR_VERDICT } from "./headers";
import { Rate } from "./policy/policy";
import { proxy_send_local_response } from "./proxy-wasm/abi";
import { HeaderList } from "./proxy-wasm/headers";
import { addRateHeaders, secondsUp } from "./rate-headers";
import { lenOf, lit, NONE, ptrOf, Slice } from "./slice";
import { Phase, Stream } from "./stream";
import { codeOf, Reason, statusOf } from "./verdicts.gen";
import { Writer } from "./writer";

/** As the HTTP reason phrase on Kong, so a plain word. */
const DETAILS = lit("weir");
/** No gRPC status: an ordinary HTTP answer. */
const GRPC_NONE: i32 = -1;
const UNAVAILABLE_RETRY_S: u64 = 1;
/** A longer wait is the caller's to decide about: clients that retry by themselves would sleep it through without a word. */
const RETRY_MAX_S: u64 = 60;
export const NO_RETRY = lit("false");

const headers = new HeaderList(16, 1024);
// Any message and any pointer fit. A pointer, which a message may repeat, may be escaped whole (POINTER_MAX × 6 bytes each); of the
// rest, quotation marks and backslashes are.
const body = new Writer(10240);
const message = new Writer(2432);
let param: Slice = NONE;
let retrySeconds: u64 = 0;

/** Starts the message of the refusal to come. */
export function because(): Writer {
  param = NONE;
  retrySeconds = 0;
  return message.reset();
}

/** Goes on with the message that `because` started. */
export function more(): Writer {
  return message;
}

/** Names the member of the body that is to blame, as a JSON pointer. Static or valid until `deny`. */
export function blame(pointer: Slice): void {
  param = pointer;
}

/** How long the caller should wait. */
export function retryAfter(seconds: u64): void {
  retrySeconds = seconds;
}

/** Answers the request with the refusal; the stream is over. */
export function deny(stream: Stream | null, reason: Reason): void {
  if (stream != null) {
    stream.phase = Phase.Denied;
    stream.reason = reason;
  }
  headers.reset().add(CONTENT_TYPE, JSON_TYPE);
  headers.begin(WEIR_VERDICT).text(codeOf(reason));
  headers.end();
  const status = statusOf(reason);
  if (status == 503 && retrySeconds == 0) retrySeconds = UNAVAILABLE_RETRY_S;
  if (retrySeconds > 0) {
    headers.begin(RETRY_AFTER).u64(retrySeconds);
    headers.end();
    if (retrySeconds > RETRY_MAX_S) headers.add(SHOULD_RETRY, NO_RETRY);
  }
  if (stream != null && stream.rate) {
    addRateHeaders(headers, changetype<Rate>(stream.rate), stream.rateLeft, stream.rateResetNs);
  }
  beginError(body.reset(), reason).json(message.written).text('","param":');
  if (param == NONE) body.text("null");
  else body.text('"').json(param).text('"');
  body.text("}}");
  const text = body.written;
  const pairs = headers.serialised;
  proxy_send_local_response(
    status,
    ptrOf(DETAILS),
    lenOf(DETAILS),
    ptrOf(text),
    lenOf(text),
    ptrOf(pairs),
    lenOf(pairs),
    GRPC_NONE,
  );
}

/** Breaks off an answer that has begun, so that nobody takes what went out for all of it. Envoy only. */
export function breakOff(): void {
  proxy_send_local_response(502, ptrOf(DETAILS), lenOf(DETAILS), 0, 0, 0, 0, GRPC_NONE);
}

/** Seconds to wait for a limit that frees up in `ns`. */
export function waitFor(ns: u64): u64 {
  return max(secondsUp(ns), 1);
}
