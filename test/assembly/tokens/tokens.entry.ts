export { packAt, packCapacity, packDirectory, packLength } from "../../../assembly/packs";
export { reserve } from "../../../assembly/memory";
export { configureTokens, countTokens } from "../../../assembly/tokens/count";
export { hasVocabulary } from "../../../assembly/tokens/vocabulary";
export {
  boundTokens,
  estimateTokensUpper,
  tokensLower,
  tokensUpper,
} from "../../../assembly/tokens/bounds";
export { chatOverhead, modelEncoding, modelFamily } from "../../../assembly/tokens/models";
