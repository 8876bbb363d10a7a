// Exports BLAKE2s for its test.
export { reserve } from "../../../assembly/memory";
import { BLAKE2S_BYTES, blake2sBegin, blake2sEnd, blake2sUpdate } from "../../../assembly/events/blake2s";

export { blake2sBegin, blake2sEnd, blake2sUpdate };
export const STATE: i32 = BLAKE2S_BYTES;
