// The way in: what happens to a request, in the order in which it happens, with every branch that it can take.
//
//   headers ─ shield ─ identity ─ limits ─┐
//   body ──── json ─ prompt ─ injection ─ tokens ─ rewrite ─ reserve ─▶ upstream
//                                                               └─ (no lease) acquire ─▶ wait ─▶ upstream
//
// Stages are leaves: they look at slices and tables and answer a closed enum. Here it is decided what that means.
import {
  Admission,
  admitAddress,
  admitSubject,
  left,
  limiting,
  refundAddress,
  waitNs,
} from "./admission/admission";
import {
  acquireFor,
  deniedBudget,
  deniedBusy,
  deniedLimit,
  deniedNever,
  deniedResetSeconds,
  deniedUsed,
  deniedWindow,
  denialCovers,
  finishAcquire,
  Outcome,
  waiterCount,
  waiterOf,
} from "./budget/acquire";
import { applyBudgets, bound, needsPrice } from "./budget/amounts";
import { coveredLocally, growth, Reserve, reserveLocally } from "./budget/reserve";
import { because, blame, deny, more, retryAfter, waitFor } from "./deny";
import {
  ACCEPT_ENCODING,
  API_KEY,
  AUTHORIZATION,
  CONTENT_LENGTH,
  WEIR_LANE,
  WEIR_REQUEST_ID,
  WEIR_SUBJECT,
  WEIR_TIER,
  X_API_KEY,
  X_GOOG_API_KEY,
} from "./headers";
import { addressTag, identify, laneName, readAddress } from "./identity/identity";
import { Judgement, judge, judgedScore, judgedWhy } from "./inspect/injection";
import { emptyPointer, findPrompt, Prompt, Shape, SPANS_MAX } from "./inspect/prompt";
import { errorText } from "./json/errors";
import { Tape } from "./json/tape";
import { pointer, toU64 } from "./json/text";
import { BODY_DEPTH_MAX, BODY_VALUES_MAX } from "./limits";
import { count, counted, Metric } from "./metrics";
import { Injection, Key, matchesAny, Policy, Rate, Tier } from "./policy/policy";
import { Action, BufferType, MapType } from "./proxy-wasm/abi";
import { arenaTake } from "./proxy-wasm/arena";
import { removeHeader, setHeader } from "./proxy-wasm/headers";
import {
  bufferBytes,
  continueRequest,
  replaceBuffer,
  now,
  property,
  setEffectiveContext,
} from "./proxy-wasm/host";
import {
  ambiguous,
  claimsJson,
  contentLength,
  contentEncoding,
  credential,
  FORM_API_KEY,
  FORM_AUTHORIZATION,
  FORM_X_API_KEY,
  FORM_X_GOOG_API_KEY,
  forgedCount,
  forgedName,
  forwardedFor,
  method,
  path,
  readRequestHeaders,
  requestId,
  shownIn,
  upgrade,
} from "./request-headers";
import { nginx } from "./proxy-wasm/kind";
import { openRedaction } from "./response-redact";
import { rewrite } from "./rewrite";
import { is, lenOf, lit, NONE, ptrOf, Slice } from "./slice";
import { findStream, Phase, Stream } from "./stream";
import { countPrompt, promptBound } from "./tokens/prompt";
import { Reason } from "./verdicts.gen";
import { Writer } from "./writer";

const SOURCE_ADDRESS = lit("source\0address");
const POST = lit("POST");
const MODEL_POINTER = lit("/model");
const tape = new Tape(BODY_VALUES_MAX);
const prompt = new Prompt(SPANS_MAX);
/** Room for the longest text of the body in hand, in the arena. */
let work: usize = 0;
/** The body in hand as it is to go upstream, in the arena; NONE: as it is. */
let rewritten: Slice = NONE;
const number = new Writer(32);
const names = new Writer(512);

// ---------------------------------------------------------------------------------------------------- headers

/** The request's headers have arrived. `end`: there is no body. */
export function onRequestHeaders(context: u32, end: bool, seed: u64): Action {
  const stream = findStream(context);
  if (stream == null) {
    because().text("This proxy is serving as many requests as it can.");
    return refuse(null, Reason.Overloaded);
  }
  const policy = changetype<Policy>(stream.policy);
  stream.startNs = now();
  const reason = admitHeaders(stream, policy, seed);
  if (reason != Reason.None) return refuse(stream, reason);
  const tier = changetype<Tier>(stream.tier);
  forward(stream, tier, policy);
  if (end) {
    stream.phase = Phase.Upstream;
    return Action.Continue;
  }
  stream.phase = Phase.Body;
  if (nginx) return fetchAhead(stream, tier, policy);
  if (policy.holdHeaders) return Action.Pause;
  // The body may yet be rewritten, and its new length cannot be told to an upstream that already has the headers.
  removeHeader(MapType.RequestHeaders, CONTENT_LENGTH);
  return Action.Continue;
}

/**
 * nginx: sees to it that a lease is at hand before the body comes, as a body that changes length cannot wait. The need
 * is a guess from the content-length; whether it was enough is decided when the body is there.
 */
function fetchAhead(stream: Stream, tier: Tier, policy: Policy): Action {
  stream.contentLength = <u32>min(toU64(contentLength), u32.MAX_VALUE);
  if (contentLength == NONE) stream.contentLength = 0;
  if (stream.contentLength == 0 || !policy.leases || tier.budgetCount == 0) return Action.Continue;
  const budgets = applyBudgets(stream, tier, <u64>stream.policy);
  if (budgets == 0 || needsPrice(stream, tier)) return Action.Continue;
  guess(stream, tier, stream.contentLength / BYTES_PER_TOKEN_LOW);
  if (coveredLocally(stream, budgets, now())) return Action.Continue;
  if (!acquireFor(stream, policy, tier, budgets, growth)) return Action.Continue;
  count(Metric.Acquires);
  stream.ahead = true;
  stream.phase = Phase.Waiting;
  return Action.Pause;
}

/** Text with fewer bytes for each token than this is rare. */
const BYTES_PER_TOKEN_LOW: u32 = 2;
/** No guess takes more than this part of a budget: most requests bound their answer below the tier's limit. */
const GUESS_PART: u64 = 64;

function guess(stream: Stream, tier: Tier, promptTokens: u64): void {
  bound(stream, tier, null, promptTokens, tier.outputTokensMax);
  let n = 0;
  for (let mask = stream.budgetMask; mask != 0; mask &= mask - 1) {
    const most = max(tier.budget(ctz<u32>(mask)).limit / GUESS_PART, 1);
    stream.setReserved(n, min(stream.reserved(n), most));
    n++;
  }
}

/** All that headers alone can decide. */
function admitHeaders(stream: Stream, policy: Policy, seed: u64): Reason {
  if (!readRequestHeaders(policy.keyHeaders)) {
    because().text("The request has more headers than can be checked.");
    return Reason.Overloaded;
  }
  if (!readAddress(property(SOURCE_ADDRESS), forwardedFor, policy.trustedHops)) {
    because().text("The client's address cannot be read.");
    return Reason.AddressNotAllowed;
  }
  stream.addressTag = addressTag(seed);
  if (policy.shield) {
    const shielded = admitAddress(changetype<Rate>(policy.shield), stream.addressTag, stream.startNs);
    if (shielded != Admission.Admitted) return limited(stream, shielded, Reason.AddressLimitExceeded);
  }
  const unknown = ambiguous ? Reason.InvalidApiKey : identify(stream, policy, credential, seed);
  if (unknown != Reason.None) return unidentified(unknown);
  const tier = changetype<Tier>(stream.tier);
  const admitted = admitSubject(tier, stream.lane, stream.subjectTag, stream.startNs);
  if (limiting != null) {
    stream.rate = changetype<usize>(limiting);
    stream.rateLeft = left;
    stream.rateResetNs = waitNs;
  }
  if (admitted != Admission.Admitted) {
    if (policy.shield) refundAddress(changetype<Rate>(policy.shield), stream.addressTag, stream.startNs);
    return limited(stream, admitted, Reason.RateLimitExceeded);
  }
  if (upgrade) {
    because().text(
      "Requests that switch protocols are not let through: what follows could not be inspected.",
    );
    return Reason.UnsupportedUpgrade;
  }
  if (!stream.setPath(path)) {
    because().text("The path is longer than 256 bytes.");
    return Reason.UnknownShape;
  }
  stream.isPost = is(method, "POST");
  stream.acceptable = contentEncoding == NONE && claimsJson();
  return tier.redacts ? prepareRedaction(stream, tier) : Reason.None;
}

/** Takes what redacting the answer will need while the request can still be refused. */
function prepareRedaction(stream: Stream, tier: Tier): Reason {
  const redaction = openRedaction(tier);
  if (redaction == null) {
    because().text("This proxy is redacting as many answers as it can.");
    return Reason.Overloaded;
  }
  stream.redaction = changetype<usize>(redaction);
  return Reason.None;
}

function unidentified(reason: Reason): Reason {
  const text = because();
  if (reason == Reason.MissingApiKey) {
    text.text("You did not provide an API key. Send it as Authorization: Bearer KEY or x-api-key.");
  } else if (reason == Reason.ExpiredApiKey) text.text("This API key has expired, or is not valid yet.");
  else if (reason == Reason.AddressNotAllowed)
    text.text("This API key may not be used from your network address.");
  else if (ambiguous) text.text("The request shows different API keys in different headers.");
  else text.text("Incorrect API key provided.");
  return reason;
}

function limited(stream: Stream, admission: Admission, reason: Reason): Reason {
  if (admission == Admission.Unavailable || limiting == null) {
    because().text("The rate limits cannot be checked at the moment.");
    return Reason.Overloaded;
  }
  const rate = limiting!;
  const text = because().text("Rate limit reached: ").u64(rate.limit).text(" requests per ");
  text.u64(rate.periodNs / 1_000_000_000).text(" s");
  if (rate.burst != rate.limit) text.text(" (burst ").u64(rate.burst).text(")");
  if (reason == Reason.AddressLimitExceeded) text.text(" from one address");
  else text.text(" for ").bytes(stream.subject);
  text.text(". Try again in ").u64(waitFor(waitNs)).text(" s.");
  stream.rate = changetype<usize>(rate);
  stream.rateLeft = 0;
  stream.rateResetNs = waitNs;
  retryAfter(waitFor(waitNs));
  return reason;
}

/** Tells the upstream who calls, and takes off what only we may say and the key, which is not the upstream's. */
function forward(stream: Stream, tier: Tier, policy: Policy): void {
  for (let i = 0; i < forgedCount; i++) removeHeader(MapType.RequestHeaders, forgedName(i));
  if (!policy.forwardKey) {
    if (shownIn & FORM_AUTHORIZATION) removeHeader(MapType.RequestHeaders, AUTHORIZATION);
    if (shownIn & FORM_X_API_KEY) removeHeader(MapType.RequestHeaders, X_API_KEY);
    if (shownIn & FORM_API_KEY) removeHeader(MapType.RequestHeaders, API_KEY);
    if (shownIn & FORM_X_GOOG_API_KEY) removeHeader(MapType.RequestHeaders, X_GOOG_API_KEY);
  }
  // A compressed answer could not be read.
  if (tier.counts || tier.redacts) removeHeader(MapType.RequestHeaders, ACCEPT_ENCODING);
  setHeader(MapType.RequestHeaders, WEIR_SUBJECT, stream.subject);
  setHeader(MapType.RequestHeaders, WEIR_TIER, tier.name);
  setHeader(MapType.RequestHeaders, WEIR_LANE, number.reset().text(laneName(stream.lane)).written);
  if (requestId != NONE) setHeader(MapType.RequestHeaders, WEIR_REQUEST_ID, requestId);
}

// ------------------------------------------------------------------------------------------------------- body

/** `size` bytes of the request's body are there; with `end`, they are all. */
export function onRequestBody(context: u32, size: i32, end: bool): Action {
  const stream = findStream(context);
  if (stream == null) return Action.Continue;
  if (stream.phase == Phase.Waiting) return Action.Pause;
  if (stream.phase != Phase.Body) return Action.Continue;
  const tier = changetype<Tier>(stream.tier);
  if (<u64>size > tier.bytesMax) return refuse(stream, bodyTooLarge(tier));
  if (!end) return Action.Pause;
  if (size == 0) return goOn(stream);
  const body = bufferBytes(BufferType.RequestBody, size);
  if (lenOf(body) != size) {
    because()
      .text("The proxy could not hand over the body of ")
      .u64(size)
      .text(" bytes for inspection. Operators: raise");
    more().text(" nginx_http_client_body_buffer_size (Kong) or per_connection_buffer_limit_bytes (Envoy).");
    return refuse(stream, Reason.BodyUnavailable);
  }
  count(Metric.ScannedBytes, size);
  work = arenaTake(size);
  if (!work) return refuse(stream, bodyTooLarge(tier));
  let reason = inspect(stream, tier, body);
  if (reason == Reason.None) reason = spend(stream, tier, body);
  if (reason != Reason.None) return refuse(stream, reason);
  if (tier.budgetCount > 0 && stream.budgetMask != 0) return reserve(stream, tier, size);
  if (stream.unsent) replaceBody(stream, size);
  return goOn(stream);
}

function bodyTooLarge(tier: Tier): Reason {
  because()
    .text("The request body is larger than the ")
    .u64(tier.bytesMax)
    .text(" bytes that this tier may send.");
  return Reason.BodyTooLarge;
}

/** json → prompt → injection. */
function inspect(stream: Stream, tier: Tier, body: Slice): Reason {
  if (!stream.acceptable) {
    because().text(
      "The body must be application/json without content-encoding: anything else cannot be inspected.",
    );
    return Reason.UnsupportedMediaType;
  }
  const error = tape.scan(ptrOf(body), lenOf(body), BODY_DEPTH_MAX);
  if (error != 0) {
    because()
      .text("The body is not acceptable JSON: ")
      .text(errorText(error))
      .text(" at byte ")
      .u64(tape.errorAt);
    return Reason.MalformedJson;
  }
  findPrompt(tape, stream.path, stream.isPost ? POST : NONE, prompt);
  const shape = checkShape(tier);
  if (shape != Reason.None) return shape;
  if (prompt.modelEscaped || !stream.setModel(prompt.model)) {
    because().text("The model's name is longer than 128 bytes, or written with escapes.");
    blame(MODEL_POINTER);
    return Reason.UnknownShape;
  }
  const allowed = stream.key ? changetype<Key>(stream.key).models : NONE;
  if (allowed != NONE && !matchesAny(stream.model, allowed)) {
    because().text("This API key may not use the model ").bytes(stream.model);
    blame(MODEL_POINTER);
    return Reason.ModelNotAllowed;
  }
  return checkInjection(stream, tier);
}

function checkShape(tier: Tier): Reason {
  if (prompt.tooMany) {
    because().text("The body has more texts than can be inspected.");
    return Reason.BodyTooLarge;
  }
  if (prompt.shape == Shape.Unknown && !tier.unknownShapeAllowed) {
    because().text(
      "This is not a request of a supported API (chat completions, responses, completions, embeddings,",
    );
    more().text(" Anthropic messages, Gemini generateContent), so it cannot be checked.");
    return Reason.UnknownShape;
  }
  if (prompt.bad >= 0) {
    names.reset();
    pointer(tape, prompt.bad, names);
    because().text("The member ").json(names.written).text(" has a value of the wrong type or range.");
    blame(names.written);
    return Reason.EmptyPrompt;
  }
  if (!prompt.nonEmpty) {
    names.reset();
    emptyPointer(tape, prompt, names);
    because().text("The prompt is empty: ").json(names.written).text(" must contain a non-empty text.");
    blame(names.written);
    return Reason.EmptyPrompt;
  }
  return Reason.None;
}

function checkInjection(stream: Stream, tier: Tier): Reason {
  if (tier.injection == Injection.Off) return Reason.None;
  const judgement = judge(prompt, work, tier.threshold, tier.untrustedThreshold);
  stream.score = judgedScore;
  if (judgement == Judgement.Clean) return Reason.None;
  if (tier.injection == Injection.Shadow) {
    stream.shadowed = true;
    count(Metric.Shadowed);
    return Reason.None;
  }
  because().text("The prompt looks like an attempt to override the model's instructions (").bytes(judgedWhy);
  more().text(").");
  return Reason.InjectionDetected;
}

// ------------------------------------------------------------------------------------------- tokens and budgets

/** Tokens, the clamp of the answer's length, and what is to be reserved. */
function spend(stream: Stream, tier: Tier, body: Slice): Reason {
  stream.outputsMax = outputBound(tier);
  let tokens = promptBound(prompt, lenOf(body), hasTools());
  if (tokens > tier.promptTokensMax) {
    tokens = countPrompt(prompt, stream.model, lenOf(body), hasTools(), work);
    if (tokens > tier.promptTokensMax) {
      because()
        .text("The prompt has more than the ")
        .u64(tier.promptTokensMax)
        .text(" tokens that this tier may send.");
      return Reason.PromptTooLong;
    }
  }
  stream.promptTokens = tokens;
  rewritten = rewrite(tape, prompt, body, tier.outputTokensMax, tier.counts);
  stream.unsent = rewritten != NONE;
  if (stream.unsent && !waitsForLease(stream, lenOf(body))) replaceBody(stream, lenOf(body));
  if (tier.budgetCount == 0) return Reason.None;
  const policy = changetype<Policy>(stream.policy);
  if (applyBudgets(stream, tier, <u64>stream.policy) == 0) return Reason.None;
  const price = policy.price(stream.model);
  if (price == null && needsPrice(stream, tier)) {
    because()
      .text("The policy has no price for the model ")
      .bytes(stream.model)
      .text(", so it cannot be charged.");
    blame(MODEL_POINTER);
    return Reason.ModelNotPriced;
  }
  bound(stream, tier, price, tokens, stream.outputsMax);
  return Reason.None;
}

function hasTools(): bool {
  return tape.member(0, "tools") >= 0 || tape.member(0, "functions") >= 0;
}

/** nginx: the rewritten body could not be sent after a pause, so it is not put in place before it needs none. */
function waitsForLease(stream: Stream, size: i32): bool {
  return nginx && stream.contentLength != 0 && lenOf(rewritten) != size;
}

function replaceBody(stream: Stream, size: i32): void {
  if (nginx || changetype<Policy>(stream.policy).holdHeaders) {
    setHeader(MapType.RequestHeaders, CONTENT_LENGTH, number.reset().u64(lenOf(rewritten)).written);
  }
  replaceBuffer(BufferType.RequestBody, size, rewritten);
  stream.hideUsage = prompt.stream && !prompt.includeUsage;
  stream.unsent = false;
}

/** The most completion tokens that all answers together can have once the body is rewritten. */
function outputBound(tier: Tier): u64 {
  if (prompt.shape == Shape.Embeddings) return 0;
  const each = prompt.limitCount > 0 ? min(prompt.limit, tier.outputTokensMax) : tier.outputTokensMax;
  const answers = max(max(prompt.n, prompt.bestOf), 1);
  return answers > ANSWERS_MAX || each > OUTPUT_MAX ? OUTPUT_MAX : each * answers;
}

/** Beyond any model; keeps sums far from the ends of their ranges. */
const ANSWERS_MAX: u64 = 1024;
const OUTPUT_MAX: u64 = 1 << 30;

/** Takes the reservation, from a lease at hand or from the ledger. */
function reserve(stream: Stream, tier: Tier, size: i32): Action {
  const policy = changetype<Policy>(stream.policy);
  const budgets = <i32>popcnt<u32>(stream.budgetMask);
  let outcome = policy.leases ? reserveLocally(stream, budgets, now()) : Reserve.NeedsLease;
  if (outcome == Reserve.NeedsLease && tier.counts) {
    // The slice at hand is not ample: now the exact count is worth its price.
    stream.promptTokens = countPrompt(prompt, stream.model, size, hasTools(), work);
    bound(stream, tier, policy.price(stream.model), stream.promptTokens, stream.outputsMax);
    if (policy.leases) outcome = reserveLocally(stream, budgets, now());
  }
  if (outcome == Reserve.Reserved) {
    count(Metric.LeaseHits);
    if (stream.unsent) replaceBody(stream, size);
    return goOn(stream);
  }
  if (outcome == Reserve.Unavailable) {
    because().text("The budgets cannot be checked at the moment.");
    return refuse(stream, Reason.Overloaded);
  }
  if (acquireFor(stream, policy, tier, budgets, growth)) {
    count(Metric.Acquires);
    stream.phase = Phase.Waiting;
    return Action.Pause;
  }
  return unreachableLedger(stream, tier) ? goOn(stream) : Action.Pause;
}

/** Whether the request may pass although its budgets could not be asked; if not, it has been refused. */
function unreachableLedger(stream: Stream, tier: Tier): bool {
  stream.budgetMask = 0;
  if (tier.outageAllowed) {
    count(Metric.Unbudgeted);
    return true;
  }
  because().text("The quota ledger cannot be reached, and your budget must be checked first.");
  refuse(stream, Reason.LedgerUnavailable);
  return false;
}

/** The ledger has answered acquire `number` (NONE: it has not): every stream that waited goes on. */
export function onAcquired(number: i32, answer: Slice): void {
  const time = now();
  const outcome = finishAcquire(number, answer, time);
  if (outcome == Outcome.Failed) count(Metric.LedgerFailures);
  // The acquire's place may be taken again by a stream that must ask anew, so its waiters are read first.
  const waiters = takeWaiters(number);
  for (let i = 0; i < waiters; i++) {
    const stream = findStream(waiter(i));
    if (stream == null || stream.phase != Phase.Waiting) continue;
    setEffectiveContext(stream.context);
    resume(stream, outcome, time);
  }
}

const waiting = new StaticArray<u32>(64);

function takeWaiters(number: i32): i32 {
  const total = waiterCount(number);
  for (let i = 0; i < total; i++) unchecked((waiting[i] = waiterOf(number, i)));
  return total;
}

function waiter(i: i32): u32 {
  return unchecked(waiting[i]);
}

function resume(stream: Stream, outcome: Outcome, time: u64): void {
  const tier = changetype<Tier>(stream.tier);
  const budgets = <i32>popcnt<u32>(stream.budgetMask);
  if (stream.ahead) {
    stream.ahead = false;
    stream.phase = Phase.Body;
    continueRequest();
    return;
  }
  if (outcome == Outcome.Denied && denialCovers(stream, budgets)) {
    refuse(stream, brokeOrBusy(stream));
    return;
  }
  if (outcome == Outcome.Failed) {
    if (unreachableLedger(stream, tier)) release(stream);
    return;
  }
  if (stream.unsent) {
    because().text("Your budget was looked up while this request waited, and it has to be sent again.");
    retryAfter(1);
    refuse(stream, Reason.BudgetBusy);
    return;
  }
  if (reserveLocally(stream, budgets, time) == Reserve.Reserved) {
    release(stream);
    return;
  }
  if (outcome == Outcome.NoRoom) {
    because().text("This proxy holds as many leases as it can.");
    refuse(stream, Reason.Overloaded);
    return;
  }
  // Others who waited used the slice up, or one was denied that needed more: this one asks for its own.
  if (acquireFor(stream, changetype<Policy>(stream.policy), tier, budgets, growth)) count(Metric.Acquires);
  else if (unreachableLedger(stream, tier)) release(stream);
}

function brokeOrBusy(stream: Stream): Reason {
  const text = because();
  text.text("The budget ").json(deniedBudget).text(" of ").bytes(stream.subject);
  if (deniedNever) {
    text
      .text(" (")
      .u64(deniedLimit)
      .text(" per ")
      .json(deniedWindow)
      .text(") is smaller than this request may need.");
    return Reason.InsufficientQuota;
  }
  text.text(" is used up: ").u64(deniedUsed).text(" of ").u64(deniedLimit).text(" per ").json(deniedWindow);
  text.text(" are spent or reserved. It resets in ").u64(deniedResetSeconds).text(" s.");
  if (deniedBusy) {
    retryAfter(1);
    return Reason.BudgetBusy;
  }
  return Reason.InsufficientQuota;
}

// -------------------------------------------------------------------------------------------------------- ends

function goOn(stream: Stream): Action {
  stream.phase = Phase.Upstream;
  return Action.Continue;
}

/** Lets a stream go on that waited for the ledger. */
function release(stream: Stream): void {
  stream.phase = Phase.Upstream;
  continueRequest();
}

function refuse(stream: Stream | null, reason: Reason): Action {
  counted(stream, reason);
  deny(stream, reason);
  return Action.Pause;
}
