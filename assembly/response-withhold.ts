// What a client gets in place of an answer that must not pass. The status has usually been sent, so the error is in
// the body: all of a JSON answer, or one more event of a stream, which the clients of OpenAI and of Anthropic both
// take for an error, or one more line.
import { beginError } from "./error-body";
import { typeName } from "./redact/types";
import { Slice } from "./slice";
import { codeOf, Reason } from "./verdicts.gen";
import { Writer } from "./writer";

/** No error is longer. */
export const WITHHELD_MAX: i32 = 512;
const text = new Writer(WITHHELD_MAX);

/** The error as a body. `type`: what was found (redact/types.ts), or -1. Valid until the next call. */
export function withheldBody(reason: Reason, type: i32): Slice {
  text.reset();
  error(reason, type);
  return text.written;
}

/** The error as a line of JSON, as Ollama writes it: the message alone, which its clients raise. A line that was cut ends before it. */
export function withheldLine(reason: Reason, type: i32, inEvent: bool): Slice {
  text.reset();
  if (inEvent) text.text("\n");
  text.text('{"error":"');
  message(reason, type);
  return text.text('","code":"').text(codeOf(reason)).text('"}\n').written;
}

/** The error as an event; a line that was cut ends before it. */
export function withheldEvent(reason: Reason, type: i32, inEvent: bool): Slice {
  text.reset();
  if (inEvent) text.text("\n\n");
  text.text("event: error\ndata: ");
  error(reason, type);
  return text.text("\n\n").written;
}

function error(reason: Reason, type: i32): void {
  beginError(text, reason);
  message(reason, type);
  text.text('","param":null}}');
}

function message(reason: Reason, type: i32): void {
  if (reason == Reason.AnswerBlocked) {
    text.text("The answer was withheld: this tier's policy blocks what it contains");
    if (type >= 0) text.text(" (").text(typeName(type)).text(")");
    text.text(".");
  } else text.text("The answer was withheld: it must be read before it may pass, and could not be.");
}
