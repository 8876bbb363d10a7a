// Compiles what a policy says of events. The moderator of their texts is not called from here: its name travels with each
// event that has texts, as a message (proto/weir/v1/events.proto) that is written once, now.
import { Tape } from "../json/tape";
import { ptrOf, slice } from "../slice";
import { putBytes } from "../wire";
import { Writer } from "../writer";
import { take } from "./block";
import { Policy } from "./policy";
import { problem } from "./problems";
import { flag, member, textOf } from "./read";

/** A URL of 256 bytes, a model of 128, the name of a key of 32, and what is between them. */
const MODERATOR_MAX: i32 = 512;
const message = new Writer(MODERATOR_MAX);

export function compileEvents(tape: Tape, events: i32, policy: Policy): void {
  policy.events = events >= 0;
  policy.eventsText = flag(tape, member(tape, events, "text"), false);
  const moderation = member(tape, events, "moderation");
  if (moderation < 0) return;
  if (!policy.eventsText)
    problem(tape, moderation, "`text: true` beside it: without texts there is nothing to moderate");
  message.reset();
  putText(tape, moderation, "url", 1);
  putText(tape, moderation, "model", 2);
  putText(tape, moderation, "key", 3);
  const to = take(<usize>message.length);
  memory.copy(to, ptrOf(message.written), message.length);
  policy.moderator = slice(to, message.length);
}

function putText(tape: Tape, node: i32, name: string, field: u32): void {
  const value = member(tape, node, name);
  if (value >= 0) putBytes(message, field, textOf(tape.raw(value)));
}
