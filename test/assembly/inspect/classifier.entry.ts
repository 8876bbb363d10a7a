export * from "../../../assembly/inspect/classifier-module";
export { TRACE, WORD_TRACE } from "../../../assembly/inspect/classifier";
export { stretchCount, stretchFrom, stretchTo, STRETCHES_MAX } from "../../../assembly/inspect/traces";
