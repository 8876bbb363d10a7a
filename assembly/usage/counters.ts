// What answers tell of usage, each number by what it counts. Usage is in the words of its provider until it is asked for
// (usage.ts): which of them include one another differs.

export enum Counter {
  Prompt = 0,
  Completion = 1,
  Total = 2,
  Input = 3,
  Output = 4,
  CacheRead = 5,
  CacheWrite = 6,
  /** Of OpenAI's details, part of the prompt. */
  Cached = 7,
  /** Of OpenAI's details, part of the completion. */
  Reasoning = 8,
  GeminiPrompt = 9,
  GeminiCandidates = 10,
  GeminiThoughts = 11,
  GeminiTools = 12,
  GeminiTotal = 13,
  /** Of the round at hand, as Input to CacheWrite. */
  RoundInput = 14,
  RoundOutput = 15,
  RoundCacheRead = 16,
  RoundCacheWrite = 17,
  /** Of all rounds that Input to CacheWrite leave out. */
  BesideInput = 18,
  BesideOutput = 19,
  BesideCacheRead = 20,
  BesideCacheWrite = 21,
  /** Of all rounds that Input to CacheWrite have, or would have if they did not leave declined ones out. */
  RoundsInput = 22,
  RoundsOutput = 23,
  RoundsCacheRead = 24,
  RoundsCacheWrite = 25,
  /** Of OpenAI's details, part of the prompt. */
  CacheWritten = 26,
  /** Of the tools of OpenAI's Responses, which its usage leaves out. */
  ToolInput = 27,
  ToolOutput = 28,
}
export const COUNTERS: i32 = 29;

/** Whether it tells of the answer's own usage: what tools used is told beside it, also where it is not. */
export function isOwn(index: i32): bool {
  return index != Counter.ToolInput && index != Counter.ToolOutput;
}

/** Whether what is charged would be too little without this counter: the others only divide what these have. */
export function isAmount(index: i32): bool {
  return (
    index != Counter.Total &&
    index != Counter.GeminiTotal &&
    index != Counter.Cached &&
    index != Counter.CacheWritten &&
    index != Counter.Reasoning
  );
}

/** Whether it tells what was generated, or a sum with that in it. */
export function hasOutput(index: i32): bool {
  return (
    index == Counter.Completion ||
    index == Counter.Total ||
    index == Counter.Output ||
    index == Counter.BesideOutput ||
    index == Counter.RoundOutput ||
    index == Counter.GeminiCandidates ||
    index == Counter.GeminiTotal
  );
}
