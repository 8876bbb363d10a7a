// The JSON of an error, in a refusal and in the place of an answer, as OpenAI's and Anthropic's clients both read it.
import { codeOf, Reason, typeOf } from "./verdicts.gen";
import { Writer } from "./writer";

/** Writes it up to the message, of which the rest follows: the message, `","param":`, a value and two braces. */
export function beginError(to: Writer, reason: Reason): Writer {
  to.text('{"type":"error","error":{"type":"').text(typeOf(reason));
  return to.text('","code":"').text(codeOf(reason)).text('","message":"');
}
