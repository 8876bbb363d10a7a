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
  /** Part of CacheWrite. */
  CacheWriteHour = 7,
  /** Of OpenAI's details, part of the prompt. */
  Cached = 8,
  /** Of OpenAI's details, part of the completion. */
  Reasoning = 9,
  GeminiPrompt = 10,
  GeminiCandidates = 11,
  GeminiThoughts = 12,
  GeminiTools = 13,
  GeminiTotal = 14,
  /** Of the round at hand, as Input to CacheWriteHour. */
  RoundInput = 15,
  RoundOutput = 16,
  RoundCacheRead = 17,
  RoundCacheWrite = 18,
  RoundCacheWriteHour = 19,
  /** Of all rounds that Input to CacheWriteHour leave out. */
  BesideInput = 20,
  BesideOutput = 21,
  BesideCacheRead = 22,
  BesideCacheWrite = 23,
  BesideCacheWriteHour = 24,
  /** Of all rounds that Input to CacheWriteHour have, or would have if they did not leave declined ones out. */
  RoundsInput = 25,
  RoundsOutput = 26,
  RoundsCacheRead = 27,
  RoundsCacheWrite = 28,
  RoundsCacheWriteHour = 29,
  /** Of OpenAI's details, part of the prompt. */
  CacheWritten = 30,
  /** Of the tools of OpenAI's Responses, which its usage leaves out. */
  ToolInput = 31,
  ToolOutput = 32,
}
export const COUNTERS: i32 = 33;

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
    index != Counter.CacheWriteHour &&
    index != Counter.RoundCacheWriteHour &&
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
