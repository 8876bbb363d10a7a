// What callers are told when a request is refused: each function writes the message (and whom to blame, and how
// long to wait) and answers the reason. No decision is made here; request.ts makes them.
import { Admission, limiting, waitNs } from "./admission/admission";
import { because, blame, more, retryAfter, waitFor } from "./deny";
import { absent, refused } from "./identity/claims";
import { emptyPointer, Prompt } from "./inspect/prompt";
import { Report } from "./inspect/schema";
import { Tape } from "./json/tape";
import { nearest, POINTER_MAX } from "./json/text";
import { Tier } from "./policy/policy";
import { NS_PER_S } from "./policy/units";
import { typeName, VAULT_TEXT_MAX, VALUES_MAX } from "./redact/types";
import { lenOf, lit, Slice } from "./slice";
import { Stream } from "./stream";
import { MEDIA_TOKENS } from "./tokens/prompt";
import { Reason } from "./verdicts.gen";
import { Writer } from "./writer";

const MODEL_POINTER = lit("/model");
const names = new Writer(POINTER_MAX);

export function unidentified(reason: Reason, several: bool): Reason {
  const text = because();
  if (reason == Reason.MissingApiKey) {
    text.text("You did not provide an API key. Send it as Authorization: Bearer KEY or x-api-key.");
  } else if (reason == Reason.ExpiredApiKey) text.text("This API key has expired, or is not valid yet.");
  else if (reason == Reason.AddressNotAllowed)
    text.text("This API key may not be used from your network address.");
  else if (reason == Reason.TokenNotAccepted) {
    text.text("The token's claim \"").bytes(refused);
    text.text(absent ? '" is missing, empty or no text.' : '" does not name a caller of this policy.');
  } else if (several)
    text.text("The request shows several API keys, in several headers or in one that was sent twice.");
  else text.text("Incorrect API key provided.");
  return reason;
}

/** The caller's requests that are open take up more of the worker than is fair (fair-share.ts); `where`: which of them. */
export function tooManyOpen(stream: Stream, where: string): Reason {
  const text = because().text("Too many requests of ").bytes(stream.subject).text(" are open at once");
  text.text(where).text(": they take most of what this proxy can serve. Wait for some of them to end.");
  retryAfter(1);
  return Reason.TooManyOpenRequests;
}

/** A limit denied, or could not be checked. */
export function limited(stream: Stream, admission: Admission, reason: Reason): Reason {
  if (admission == Admission.Unavailable || limiting == null) {
    because().text("The rate limits cannot be checked at the moment.");
    return Reason.Overloaded;
  }
  const rate = limiting!;
  const text = because().text("Rate limit reached: ").u64(rate.limit).text(" requests per ");
  text.u64(rate.periodNs / NS_PER_S).text(" s");
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

/** The text at `node` holds something of `type` (redact/types.ts). */
export function promptBlocked(tape: Tape, node: i32, type: i32): Reason {
  because()
    .text("This tier's policy does not let what the prompt contains go upstream (")
    .text(typeName(type));
  more().text(").");
  names.reset();
  nearest(tape, node, names);
  blame(names.written);
  return Reason.PromptBlocked;
}

export function tooManyOriginals(): Reason {
  because().text(
    "The prompt holds more that is to be put back into its answer than can be remembered: at most ",
  );
  more().u64(VALUES_MAX).text(" values of ").u64(VAULT_TEXT_MAX).text(" bytes together.");
  return Reason.PromptUnredactable;
}

/** Names of members that differed are the same without what must not go upstream. */
export function redactedTwice(): Reason {
  because().text("Two members of one object have the same name once the prompt is redacted.");
  return Reason.PromptUnredactable;
}

/** Starts the message of a refusal for the member at `node`, and blames it. */
function ofMember(tape: Tape, node: i32): Writer {
  names.reset();
  nearest(tape, node, names);
  const text = because().text("The member ").bytes(names.written);
  blame(names.written);
  return text;
}

/** The member at `node` asks for the answer's tokens or parts, in a tier that redacts answers. */
export function tokensAsked(tape: Tape, node: i32): Reason {
  ofMember(tape, node).text(" asks for the answer's tokens one by one, or a tool's arguments in parts,");
  more().text(" in which no text can be found:");
  more().text(" expected that it is left out, since this tier redacts answers.");
  return Reason.AnswerUnredactable;
}

export function arrayAsked(): Reason {
  because().text(
    "Gemini's stream comes as one JSON array, in which no text can be followed: ask with ?alt=sse,",
  );
  more().text(" since this tier redacts answers.");
  return Reason.AnswerUnredactable;
}

export function bodyTooLarge(tier: Tier): Reason {
  because()
    .text("The request body is larger than the ")
    .u64(tier.bytesMax)
    .text(" bytes that this tier may send.");
  return Reason.BodyTooLarge;
}

export function emptyBody(): Reason {
  because().text("The body is empty: expected a JSON object.");
  return Reason.MalformedJson;
}

export function bodyUnavailable(size: i32): Reason {
  because()
    .text("The proxy could not hand over the body of ")
    .u64(size)
    .text(" bytes for inspection. Operators: raise");
  more().text(" nginx_http_client_body_buffer_size (Kong) or per_connection_buffer_limit_bytes (Envoy).");
  return Reason.BodyUnavailable;
}

export function tooManyTexts(): Reason {
  because().text("The body has more texts than can be inspected.");
  return Reason.BodyTooLarge;
}

export function unknownShape(): Reason {
  because().text(
    "This is not a POST request of a supported API (chat completions, responses, completions, embeddings,",
  );
  more().text(" Anthropic messages, Gemini generateContent), so it cannot be checked.");
  return Reason.UnknownShape;
}

/** The tier bounds answers, and the body is no object that the bound could be put into, or asks an agent, whose API has none. */
export function unboundable(tape: Tape, prompt: Prompt): Reason {
  if (prompt.agent < 0) {
    because().text("The body is not a JSON object, so the length of its answer cannot be bounded.");
    return Reason.UnknownShape;
  }
  ofMember(tape, prompt.agent).text(" names an agent, the length of whose answer cannot be bounded");
  more().text(", and this tier bounds answers: name a model, as /model.");
  return Reason.UnknownShape;
}

/** The body does not fit its route's schema; the first problem is told, if it is short enough to be. */
export function misfit(report: Report): Reason {
  because().text("The body does not fit what this path takes");
  if (report.count == 0) more().text(".");
  else {
    if (lenOf(report.pointer(0)) > 0) more().text(": ").bytes(report.pointer(0));
    more().text(": ").bytes(report.value(0));
    more().text(": expected ").bytes(report.expected(0));
    blame(report.pointer(0));
  }
  return Reason.SchemaViolation;
}

export function oddPath(): Reason {
  because().text("Servers could read this path in different ways, so it is not known what it asks for.");
  return Reason.UnknownShape;
}

export function unsupportedUpgrade(): Reason {
  because().text("Requests that switch protocols are not let through: what follows could not be inspected.");
  return Reason.UnsupportedUpgrade;
}

export function unsupportedMedia(): Reason {
  because().text(
    "The body must be application/json in UTF-8, without content-encoding: anything else cannot be inspected.",
  );
  return Reason.UnsupportedMediaType;
}

/** The key is for some models only, and which one is asked for cannot be read. */
export function modelUnknown(): Reason {
  because().text("This API key is for some models only, and the model of this request cannot be read.");
  return Reason.ModelNotAllowed;
}

export function rulesUnavailable(): Reason {
  because().text("The rules of this proxy's policy are not loaded yet, so the prompt cannot be checked.");
  retryAfter(1);
  return Reason.RulesUnavailable;
}

export function tooManyHeaders(): Reason {
  because().text("The request has more headers than can be checked.");
  return Reason.TooManyHeaders;
}

/** `why` is what blocks, a rule or the classifier; `own`: a rule of the policy. */
export function injection(why: Slice, own: bool): Reason {
  if (own) because().text("The prompt matches a rule of this proxy's policy (").bytes(why);
  else because().text("The prompt looks like an attempt to override the model's instructions (").bytes(why);
  more().text(").");
  return Reason.InjectionDetected;
}

export function tokenPrompt(): Reason {
  because().text("The prompt is given as token numbers or embeddings, which cannot be inspected: send text.");
  return Reason.UnknownShape;
}

export function badMember(tape: Tape, prompt: Prompt): Reason {
  ofMember(tape, prompt.bad).text(" has a value of the wrong type or range: expected ");
  more().text(prompt.badExpected).text(".");
  return Reason.EmptyPrompt;
}

export function emptyPrompt(tape: Tape, prompt: Prompt): Reason {
  names.reset();
  emptyPointer(tape, prompt, names);
  because().text("The prompt is empty: ").bytes(names.written).text(" must contain a non-empty text.");
  blame(names.written);
  return Reason.EmptyPrompt;
}

export function oddModel(): Reason {
  because().text("The model's name is longer than 128 bytes, or written with escapes.");
  blame(MODEL_POINTER);
  return Reason.UnknownShape;
}

export function modelNotAllowed(stream: Stream): Reason {
  because().text("This API key may not use the model ").bytes(stream.model).text(".");
  blame(MODEL_POINTER);
  return Reason.ModelNotAllowed;
}

/** The key, or a budget, is for some models only, and a list of them leaves open which one answers. */
export function severalModels(tape: Tape, prompt: Prompt): Reason {
  ofMember(tape, prompt.fallbacks).text(" names models that may answer instead, and what this");
  more().text(" API key may use or is charged depends on the model: name one, as /model.");
  return Reason.ModelNotAllowed;
}

/** `media`: images, sounds and files in the prompt. */
export function promptTooLong(tier: Tier, media: i32): Reason {
  because()
    .text("The prompt has more than the ")
    .u64(tier.promptTokensMax)
    .text(" tokens that this tier may send");
  if (media > 0) more().text(": each image, sound and file counts as ").u64(MEDIA_TOKENS).text(" tokens");
  more().text(".");
  return Reason.PromptTooLong;
}

export function notPriced(stream: Stream): Reason {
  because()
    .text("The policy has no price for the model ")
    .bytes(stream.model)
    .text(", so it cannot be charged.");
  blame(MODEL_POINTER);
  return Reason.ModelNotPriced;
}
