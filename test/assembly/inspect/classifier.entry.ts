export * from "../../../assembly/inspect/classifier-module";
export { stretchCount, stretchFrom, stretchTo, STRETCHES_MAX } from "../../../assembly/inspect/traces";
