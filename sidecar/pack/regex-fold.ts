// What one code point becomes in normalised text: the specification that the filter's normaliser and the rule
// compiler share, so that a rule's literal and the text it must find are folded by the same table.
//
// A code point folds to: its compatibility form (NFKC), lower case, without the marks that decorate Latin,
// Greek, Cyrillic, Hebrew and Arabic; nothing, if it is invisible; a space, if it is white space, a control or a
// symbol without letters, as an emoji or an arrow: it stands between words and is part of none.
// What NFKC does not know (small capitals, turned and stroked letters, typographic quotes, regional
// indicators) is in `manual`. Letters of other alphabets that pass for Latin carry the Latin letter they look
// like; whether it is used depends on the word (assembly/inspect/normalise.ts decides).
//
// Bound: a fold is never longer in UTF-8 than the code point itself; one that would be is refused, and the
// code point stays as it is. So normalised text is never longer than its source.
//
// Sources: Unicode data of the running Node (NFKC, categories, scripts); the lookalikes are a hand-made
// selection from the idea of UTS #39 confusables, restricted to letters that people use as substitutes.

export const Kind = {
  /** Dropped: zero width, bidi control, soft hyphen, filler. */
  invisible: 1,
  /** White space, control or symbol. */
  space: 2,
  /** Dropped: a combining mark of décor. */
  mark: 4,
  /** A letter of an alphabet with Latin lookalikes: Cyrillic, Greek, Armenian, Cherokee, Lisu, Coptic. */
  alphabet: 8,
  /** Passes for Latin even in a word of only such letters. */
  narrow: 16,
} as const;

export interface Fold {
  /** A bit set of `Kind`. */
  kind: number;
  /** The Latin letter that this one passes for, or "". */
  look: string;
  /** What it becomes; the same character when it is kept. */
  text: string;
}

/** Combining marks that only decorate; other scripts' vowel signs and tones are part of their words. */
const decor = new RegExp(
  `[${[
    [
      "\\u0300-\\u036f",
      "\\u0483-\\u0489",
      "\\u1ab0-\\u1aff",
      "\\u1dc0-\\u1dff",
      "\\u20d0-\\u20ff",
      "\\ufe20-\\ufe2f",
    ],
    ["\\u0591-\\u05bd", "\\u05bf", "\\u05c1", "\\u05c2", "\\u05c4", "\\u05c5", "\\u05c7"],
    [
      "\\u0610-\\u061a",
      "\\u064b-\\u065f",
      "\\u0670",
      "\\u06d6-\\u06dc",
      "\\u06df-\\u06e4",
      "\\u06e7",
      "\\u06e8",
    ],
    ["\\u06ea-\\u06ed", "\\u0640"],
  ]
    .flat()
    .join("")}]`,
  "gu",
);

const manual = new Map<string, string>();
const put = (pairs: string) => {
  for (const pair of pairs.trim().split(/\s+/)) {
    const [from, to] = pair.split("=") as [string, string];
    for (const c of from) manual.set(c, to);
  }
};
// Letters with strokes, ligatures and turned, small-capital or phonetic twins.
put("ø=o æ=ae œ=oe ß=ss đðɖɗ=d łɫɬɭ=l ħɦɧʜɥ=h ŧʇʈƭ=t ıɩɪɨᴉ=i þ=th ŋɲɳɴƞ=n ĸʞᴋ=k ƒʄꜰɟ=f ƀɓʙ=b ɑɐᴀ=a ɔᴄƈ=c");
put("ɛəɘɜǝɞᴇ=e ɡɢƃǥɠ=g ʝɾᴊ=j ʟᴌ=l ɯɱᴍ=m ᴏɵɒ=o ᴘ=p ʠ=q ɹʀʁɻɽ=r ꜱʂ=s ᴛ=t ᴜʉʊ=u ʌᴠʋ=v ʍᴡ=w ʏʎƴ=y ᴢʐʑƶʒ=z");
put("ⱥ=a ɇ=e ɉ=j ɍ=r ɏ=y ⱦ=t ƙ=k ƥ=p ƽ=5 ƨ=s ᴅ=d");
// Braille.
put(
  "⠁=a ⠃=b ⠉=c ⠙=d ⠑=e ⠋=f ⠛=g ⠓=h ⠊=i ⠚=j ⠅=k ⠇=l ⠍=m ⠝=n ⠕=o ⠏=p ⠟=q ⠗=r ⠎=s ⠞=t ⠥=u ⠧=v ⠺=w ⠭=x ⠽=y ⠵=z",
);
// Currency that passes for letters.
put("€=e £=l ¥=y ¢=c");
// Typographic punctuation.
put(
  "“”„‟«»″〝〞=\" ‘’‚‛‹›′`´ʼʻˈ=' ‐‑‒–—―−﹣⁃=- ⁄∕=/ ∶꞉ː=: ∣ǀ=| ⁎∗=* 。．=. 、=, 【〔〖=[ 】〕〗=] 《〈⟨=< 》〉⟩=> •·∙・=. ¿؟=? ¡=! ؛=; ،=, ।۔=.",
);
for (let i = 0; i < 26; i++) {
  const letter = String.fromCharCode(97 + i);
  for (const base of [0x1f130, 0x1f150, 0x1f170, 0x1f1e6]) manual.set(String.fromCodePoint(base + i), letter);
}

/** Latin letter → letters that pass for it, in words that mix scripts. Upper and lower case are told apart. */
const looks: Record<string, string> = {
  a: "аАαΑԱᎪꓮⲁ",
  b: "ВвЬьΒβБᏴꓐⲂⲃ",
  c: "сСϲϹᏟꓚⲥ",
  d: "ԁԀᎠꓓժ",
  e: "еЕєЄΕεҽᎬꓰэЭեⲉ",
  f: "ϝϜꓝғҒ",
  g: "ցԍԌᏀꓖգ",
  h: "һҺНнΗհիᎻꓧⲏҥ",
  i: "іІӀӏιΙᎥꓲⲓ",
  j: "јЈϳͿյᎫꓙ",
  k: "кКκΚᏦꓗқҚⲕ",
  l: "ԼᏞꓡⳑ",
  m: "мМΜᎷꓟⲙ",
  n: "ոΝηпПԥꓠⲛ",
  o: "оОοΟσօՕꓳⲟө",
  p: "рРρΡᏢꓑⲣ",
  q: "ԛԚզգ",
  r: "гГᎡꓣᏒя",
  s: "ѕЅՏᏚꓢ",
  t: "тТτΤᎢꓔⲧ",
  u: "υսՍμцꓴ",
  v: "νѵѴᏙꓦ",
  w: "ԝԜωᎳꓪшաⲱ",
  x: "хХχΧꓫⲭ",
  y: "уУүҮΥγᎩꓬⲩ",
  z: "ΖᏃꓜⲍ",
};
/** The letters of `looks` that cannot be told from Latin by eye. Upper case ⊇ lower case, see normalise.ts. */
const narrowLetters = new Set(
  "аАеЕоОрРсСхХуУіІјЈѕЅһҺԁԀԛԚԝԜВКМНТΑΒΕΖΗΙΚΜΝΟΡΤΥΧοϲϹϳͿօՕᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᎩᏃꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ",
);

const lookOf = new Map<string, string>();
for (const [latin, letters] of Object.entries(looks))
  for (const c of letters) if (!lookOf.has(c)) lookOf.set(c, latin);
// The set of letters with a lookalike is closed under lower case, so that a folded word decides as before.
for (const [c, latin] of [...lookOf]) if (!lookOf.has(c.toLowerCase())) lookOf.set(c.toLowerCase(), latin);

const alphabets =
  /\p{Script=Cyrillic}|\p{Script=Greek}|\p{Script=Armenian}|\p{Script=Cherokee}|\p{Script=Lisu}|\p{Script=Coptic}/u;
/** Beyond ASCII, and not what stands for bytes that are no UTF-8. */
const symbols = /(?![\0-\x7f\ufffd])[\p{So}\p{Sm}\p{Sk}]/gu;
const bytes = (s: string) => Buffer.byteLength(s);

function compatible(c: string): string {
  let text = c;
  for (let round = 0; round < 3; round++) {
    text = text.normalize("NFKD").replace(decor, "").toLowerCase();
    text = [...text].map((x) => manual.get(x) ?? x).join("");
  }
  return [...text.replace(/\p{Default_Ignorable_Code_Point}/gu, "").normalize("NFC")]
    .map((x) => (/\p{Nd}/u.test(x) ? digit(x) : x))
    .join("");
}

/** The ASCII digit of a decimal digit in any script: their ten code points are contiguous. */
function digit(c: string): string {
  const code = c.codePointAt(0) as number;
  if (code < 128) return c;
  let zero = code;
  while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
  return String.fromCharCode(48 + ((code - zero) % 10));
}

/** Whether a character is a symbol that is read as a space; `™` and `№` have letters of their own. */
export function isSymbol(c: string): boolean {
  return c.replace(symbols, "") === "" && fold(c.codePointAt(0) as number).kind === Kind.space;
}

/** Text with a space for each symbol, and without what is invisible, as it is read: an emoji may be several, joined. */
export function withoutSymbols(text: string): string {
  const isInvisible = (c: string) => fold(c.codePointAt(0) as number).kind & Kind.invisible;
  return [...text].map((c) => (isSymbol(c) ? " " : isInvisible(c) ? "" : c)).join("");
}

/** Folds one code point (not a surrogate). */
export function fold(code: number): Fold {
  const c = String.fromCodePoint(code);
  // Variation selectors: no marks, though Unicode counts them among these.
  if ((code >= 0xfe00 && code <= 0xfe0f) || (code >= 0xe0100 && code <= 0xe01ef)) {
    return { kind: Kind.invisible, look: "", text: "" };
  }
  if (/\p{White_Space}|\p{Cc}|\u2800/u.test(c)) return { kind: Kind.space, look: "", text: " " };
  if (c.replace(decor, "") === "") return { kind: Kind.mark, look: "", text: "" };
  if (/\p{Cf}|\p{Default_Ignorable_Code_Point}/u.test(c)) return { kind: Kind.invisible, look: "", text: "" };
  if (code < 128) return { kind: 0, look: "", text: c.toLowerCase() };

  let text = (manual.get(c) ?? compatible(c)).replace(symbols, " ").trim().replace(/\s+/g, " ");
  if (text === "" && c.replace(symbols, "") === "") return { kind: Kind.space, look: "", text: " " };
  // A square of Latin and another alphabet (the unit ㎶, "μv") is one word of both: it is read as it would be spelt out.
  if (/[a-z]/.test(text)) text = [...text].map((x) => lookOf.get(x) ?? x).join("");
  if (text === "" || bytes(text) > bytes(c)) text = c;
  let kind = 0;
  let look = "";
  if (alphabets.test(text)) {
    kind |= Kind.alphabet;
    const base = c.normalize("NFKD").replace(decor, "");
    look = lookOf.get(base) ?? lookOf.get(text) ?? "";
    if (look && (narrowLetters.has(base) || narrowLetters.has(text))) kind |= Kind.narrow;
  }
  return { kind, look, text };
}

/** A mark or vowel sign joins the character before it, and both are one. */
export interface Pair {
  first: number;
  second: number;
  whole: number;
}

const PAIRS_FROM = 0x370;
const PAIRS_TO = 0x3100;

/**
 * What two characters of normalised text are together, if they are one: a canonical composition of Unicode (NFC) up to U+3100 of
 * characters that folding leaves as they are, as か and its mark. Korean syllables are reckoned (assembly/inspect/compose.ts).
 */
function wholeOf(first: string, second: string): string | undefined {
  const whole = (first + second).normalize("NFC");
  const code = whole.codePointAt(0) as number;
  if (code < PAIRS_FROM || code >= PAIRS_TO || [...whole].length !== 1) return undefined;
  const isKept = (c: string) => fold(c.codePointAt(0) as number).text === c;
  return [whole, first, second].every(isKept) ? whole : undefined;
}

/** Every pair of normalised text, by its second part and then its first. */
export function pairs(): Pair[] {
  const found: Pair[] = [];
  for (let whole = PAIRS_FROM; whole < PAIRS_TO; whole++) {
    const c = String.fromCodePoint(whole);
    const parts = [...c.normalize("NFD")];
    // Of three parts two are one first.
    const last = parts.pop() ?? "";
    const before = parts.join("").normalize("NFC");
    if ([...before].length !== 1 || wholeOf(before, last) !== c) continue;
    found.push({
      first: before.codePointAt(0) as number,
      second: last.codePointAt(0) as number,
      whole,
    });
  }
  return found.sort((a, b) => a.second - b.second || a.first - b.first);
}

/** Letters of the keyboard: a syllable, whose last consonant begins the next one if a vowel follows. */
const keyed = /([ㄱ-ㅎ](?<![ㄳㄵㄶㄺ-ㅀㅄ]))([ㅏ-ㅣ])(?:([ㄱ-ㅎ](?<![ㄳㄵㄶㄺ-ㅀㅄㄸㅃㅉ]))(?![ㅏ-ㅣ]))?/g;
/** A syllable and a letter that only closes one. */
const closed = /([가-힣])([ㄳㄵㄶㄺ-ㅀㅄ])/g;
const tails = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ";

/** The letter of the keyboard that one of half width is: vowels stand in sixes, two places apart. */
function fullWidth(c: string): string {
  const vowel = c.charCodeAt(0) - 0xffc2;
  if (vowel < 0) return String.fromCharCode(c.charCodeAt(0) - 0xffa1 + 0x3131);
  return vowel % 8 < 6 ? String.fromCharCode(0x314f + (vowel >> 3) * 6 + (vowel % 8)) : c;
}

/**
 * Text of which the parts of characters are put together, as the filter does before a rule reads them (assembly/inspect/compose.ts);
 * marks of décor are dropped, and all else is as it was, also where NFC would take it apart (য়) or put signs in another order.
 */
export function composed(text: string): string {
  if (!/[^\0-\x7f]/.test(text)) return text;
  const tail = (c: string) => String.fromCharCode(0x11a8 + tails.indexOf(c));
  const letters = text
    .replace(/[\uffa1-\uffbe\uffc2-\uffdc]/g, fullWidth)
    .replace(keyed, (_, lead: string, vowel: string, closing?: string) =>
      ((lead + vowel).normalize("NFKC") + (closing ? tail(closing) : "")).normalize("NFC"),
    )
    .replace(closed, (both, syllable: string, closing: string) => {
      const whole = (syllable + tail(closing)).normalize("NFC");
      return whole.length === 1 ? whole : both;
    })
    .replace(/[\u1100-\u11ff가-힣]+/g, (syllables) => syllables.normalize("NFC"));
  const out: string[] = [];
  for (const c of letters) {
    const part = /[\u309b\u309c\uff66-\uff9f]/.test(c) ? fold(c.charCodeAt(0)).text : c;
    const before = out.at(-1);
    const whole = before === undefined ? undefined : wholeOf(before, part);
    if (whole !== undefined) out[out.length - 1] = whole;
    else if (before === undefined || fold(part.codePointAt(0) as number).kind !== Kind.mark) out.push(part);
  }
  return out.join("");
}

/** Folds text code point by code point: normalised text, but for homoglyphs and runs of spaces. */
export function foldText(text: string): string {
  let out = "";
  for (const c of text) out += fold(c.codePointAt(0) as number).text;
  return out.replace(/ +/g, " ");
}
