export { packDirectory, packAt, packLength, packCapacity } from "../../../assembly/packs";
export { reserve } from "../../../assembly/memory";
export { configureTokens, countTokens } from "../../../assembly/tokens/count";
export { hasVocabulary, stepsTaken } from "../../../assembly/tokens/vocabulary";
