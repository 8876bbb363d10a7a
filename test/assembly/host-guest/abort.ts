/** Where the compiler's own failures go: an import that no host links would be worse than a trap. */
export function trapOnAbort(message: usize, file: usize, line: u32, column: u32): void {
  unreachable();
}
