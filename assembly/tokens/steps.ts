// Counts the steps of the work, so that fuzzing can say that it grows with the text and no faster. Only a build with
// `--use TOKENS_STEPS=1` counts; in any other `step` is empty.

let steps: u64 = 0;

/** One character classified, or one byte of a walk through the vocabulary. */
export function step(): void {
  if (isDefined(TOKENS_STEPS)) steps++;
}

export function stepsTaken(): u64 {
  return steps;
}
