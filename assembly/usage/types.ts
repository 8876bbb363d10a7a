// Values of "type" (and of vLLM's "object") that say something about an event, or about a part of its usage.
import { name } from "./names";
import { Channel } from "./shapes";

export const ERROR: i32 = name("error");
export const MESSAGE_STOP: i32 = name("message_stop");
export const COMPLETED: i32 = name("response.completed");
export const INCOMPLETE: i32 = name("response.incomplete");
export const FAILED: i32 = name("response.failed");
/** Gemini's interactions'. */
export const INTERACTION_COMPLETED: i32 = name("interaction.completed");
export const STEP_STOP: i32 = name("step.stop");
export const BLOCK_STOP: i32 = name("content_block_stop");
/** Cohere's. */
export const MESSAGE_END: i32 = name("message-end");
/** Rounds of Anthropic's that are charged beside what `usage` tells. */
export const COMPACTION: i32 = name("compaction");
export const ADVISOR: i32 = name("advisor_message");
const CONTENT_END = name("content-end");
const CALL_END = name("tool-call-end");
export const ITEM_DONE: i32 = name("response.output_item.done");
const PART_DONE: i32 = name("response.content_part.done");
const TEXT_DELTA: i32 = name("response.output_text.delta");
const TEXT_DONE: i32 = name("response.output_text.done");
const REFUSAL_DELTA: i32 = name("response.refusal.delta");
const REFUSAL_DONE: i32 = name("response.refusal.done");
const REASONING_DELTA: i32 = name("response.reasoning_text.delta");
const REASONING_DONE: i32 = name("response.reasoning_text.done");
const SUMMARY_DELTA: i32 = name("response.reasoning_summary_text.delta");
const SUMMARY_DONE: i32 = name("response.reasoning_summary_text.done");
const ARGUMENTS_DELTA: i32 = name("response.function_call_arguments.delta");
const ARGUMENTS_DONE: i32 = name("response.function_call_arguments.done");
const MCP_DELTA: i32 = name("response.mcp_call_arguments.delta");
const MCP_DONE: i32 = name("response.mcp_call_arguments.done");
const TOOL_DELTA: i32 = name("response.custom_tool_call_input.delta");
const TOOL_DONE: i32 = name("response.custom_tool_call_input.done");
const AUDIO_DELTA: i32 = name("response.audio.delta");
const TRANSCRIPT_DONE: i32 = name("response.audio.transcript.done");
const CODE_DONE: i32 = name("response.code_interpreter_call_code.done");

/** What kind of text `delta` is in an event of this type. */
export function deltaKind(id: i32): Channel {
  if (id == TEXT_DELTA) return Channel.Text;
  if (id == ARGUMENTS_DELTA || id == MCP_DELTA) return Channel.Arguments;
  if (id == TOOL_DELTA) return Channel.Input;
  if (id == REASONING_DELTA || id == SUMMARY_DELTA) return Channel.Reasoning;
  if (id == REFUSAL_DELTA) return Channel.Refusal;
  if (id == AUDIO_DELTA) return Channel.Data;
  return Channel.Text;
}

/** Whether an event of this type ends what came under its indices so far. */
export function endsPart(id: i32): bool {
  return (
    id == CONTENT_END ||
    id == CALL_END ||
    id == TEXT_DONE ||
    id == PART_DONE ||
    id == ARGUMENTS_DONE ||
    id == REFUSAL_DONE ||
    id == REASONING_DONE ||
    id == SUMMARY_DONE ||
    id == MCP_DONE ||
    id == TOOL_DONE ||
    id == TRANSCRIPT_DONE ||
    id == CODE_DONE
  );
}
