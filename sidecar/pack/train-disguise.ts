// Disguises that a text is given in training, so that the model sees what the normaliser and the decoded views
// make of them. Each is applied to attacks and to benign text alike: a disguise by itself proves nothing.

export type Disguise =
  | "leet" | "spaced" | "homoglyph" | "zero_width" | "base64" | "hex" | "rot13" | "reversed" | "upper" | "typo" | "fullwidth"; // biome-ignore format: one list

export const DISGUISES: readonly Disguise[] = [
  "leet",
  "spaced",
  "homoglyph",
  "zero_width",
  "base64",
  "hex",
  "rot13",
  "reversed",
  "upper",
  "typo",
  "fullwidth",
];

const LEET: Record<string, string> = {
  a: "4@",
  e: "3",
  i: "1!",
  o: "0",
  s: "5$",
  t: "7+",
  l: "1|",
  g: "9",
  b: "8",
};
const LOOKALIKE: Record<string, string> = {
  ...{ a: "а", c: "с", e: "е", i: "і", o: "о", p: "р", s: "ѕ", x: "х", y: "у", j: "ј" },
  ...{ A: "А", B: "В", C: "С", E: "Е", H: "Н", K: "К", M: "М", O: "О", P: "Р", T: "Т", X: "Х" },
};
const INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"];
const BASE64_LEADS = ["", "Base64: ", "Decode this: ", "base64 -> ", "Data: "];
const HEX_LEADS = ["", "hex: ", "Decode this hex: ", "0x"];

/** `text` in the disguise `kind`; `rand` decides how thoroughly. */
export function disguise(text: string, kind: Disguise, rand: () => number): string {
  const chars = () => [...text];
  switch (kind) {
    case "leet": {
      const rate = 0.2 + rand() * 0.8;
      return chars()
        .map((c) => (rand() < rate ? pick([...(LEET[c.toLowerCase()] ?? c)], rand) : c))
        .join("");
    }
    case "spaced": {
      const glue = pick([" ", " ", ".", "-", "_"], rand);
      const gap = glue === " " ? "  " : " ";
      return text
        .split(/\s+/)
        .map((word) => [...word].join(glue))
        .join(gap);
    }
    case "homoglyph": {
      const rate = 0.3 + rand() * 0.7;
      return chars()
        .map((c) => (rand() < rate ? (LOOKALIKE[c] ?? c) : c))
        .join("");
    }
    case "zero_width":
      return chars()
        .map((c) => (rand() < 0.4 ? c + pick(INVISIBLE, rand) : c))
        .join("");
    case "base64":
      return pick(BASE64_LEADS, rand) + Buffer.from(text).toString("base64");
    case "hex":
      return pick(HEX_LEADS, rand) + Buffer.from(text).toString("hex");
    case "rot13":
      return text.replace(/[a-z]/gi, (c) => {
        const base = c <= "Z" ? 65 : 97;
        return String.fromCharCode(((c.charCodeAt(0) - base + 13) % 26) + base);
      });
    case "reversed":
      return chars().reverse().join("");
    case "upper":
      return text.toUpperCase();
    case "typo":
      return chars()
        .map((c) => (c !== " " && rand() < 0.04 ? pick(["", c + c, "*"], rand) : c))
        .join("");
    case "fullwidth":
      return text.replace(/[!-~]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0));
  }
}

export function pick<T>(from: readonly T[], rand: () => number): T {
  return from[Math.floor(rand() * from.length)] as T;
}
