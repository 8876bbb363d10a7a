// Files that people give as text. Bytes in another encoding, as Latin-1 of a spreadsheet, would be read as other letters without a word.
import { isUtf8 } from "node:buffer";
import { WeirError } from "./errors.ts";

/** The text that `bytes` of `file` are. Throws WeirError `invalid_argument` that names the line in which they are none. */
export function utf8Of(bytes: Buffer, file: string): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  const line = bytes
    .toString("latin1")
    .split("\n")
    .findIndex((text) => !isUtf8(Buffer.from(text, "latin1")));
  throw new WeirError("invalid_argument", `${file}:${line + 1}: not in UTF-8: expected UTF-8`);
}
