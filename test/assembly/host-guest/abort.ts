// Where the compiler's own failures of the test guest go: no host links an import for them, so they trap.

export function trapOnAbort(_message: usize, _file: usize, _line: u32, _column: u32): void {
  unreachable();
}
