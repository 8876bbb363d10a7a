export * from "../../../assembly/inspect/classifier-module";
export { TRACE, wordTrace } from "../../../assembly/inspect/classifier";
export { stretchCount, stretchFrom, stretchTo, STRETCHES_MAX } from "../../../assembly/inspect/traces";
