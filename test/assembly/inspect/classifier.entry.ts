export * from "../../../assembly/inspect/classifier-module";
