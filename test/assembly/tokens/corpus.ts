// Deterministic mixed text for tests, fuzzing and benchmarks of the tokenizer: sentences in 20 languages from word
// lists (with inflected, joined and made-up words between them), code, numbers, emoji, white space and random bytes.
// One seed gives one text.

/** Words, the separator between them, and a range of code points from which new words are made. */
interface Language {
  words: string[];
  separator: string;
  letters: [number, number];
}

const language = (words: string, letters: [number, number], separator = " "): Language => ({
  words: words.split(" "),
  letters,
  separator,
});
const LATIN: [number, number] = [0x61, 0x7a];

export const LANGUAGES: Record<string, Language> = {
  english: language(
    "the quick brown fox it's they'll reservation settlement budget we've proxy request answer I'D upstream",
    LATIN,
  ),
  german: language(
    "der Überblick Straße größer Verfügbarkeit für Möglichkeiten Rückmeldung weiß nicht Äpfel",
    LATIN,
  ),
  french: language(
    "l'été déjà où garçon naïve œuvre français qu'il être forêt aujourd'hui leçon château",
    LATIN,
  ),
  spanish: language("mañana año niño ¿dónde? corazón ¡vamos! también pequeño acción último español", LATIN),
  portuguese: language("não ação coração português três manhã avó irmãos também você informações", LATIN),
  italian: language("perché città più libertà dell'acqua virtù così università è lunedì", LATIN),
  polish: language("zażółć gęślą jaźń źródło możliwość świat człowiek łódź ćwiczenie", LATIN),
  turkish: language("İstanbul ığdır çocuk şehir güneş öğrenci büyük değil teşekkürler", LATIN),
  vietnamese: language("tiếng Việt được không người những đường nước cảm ơn thời gian", [0x1ea0, 0x1ef9]),
  russian: language(
    "привет мир Россия сегодня ёлка объём пользователь Запрос ОТВЕТ безопасность",
    [0x430, 0x44f],
  ),
  ukrainian: language("Україна їжак євро ґанок сьогодні п'ять об'єкт дякую людина", [0x430, 0x457]),
  greek: language("Ελλάδα καλημέρα άνθρωπος ψυχή ΟΔΥΣΣΕΑΣ λόγος ένας ευχαριστώ", [0x3b1, 0x3c9]),
  hebrew: language("שלום עולם תודה בבקשה יִשְׂרָאֵל ספר מים", [0x5d0, 0x5ea]),
  arabic: language("السلام عليكم مرحبا العربية كِتَابٌ شكرا اليوم ١٢٣٤ مدرسة", [0x621, 0x64a]),
  hindi: language("नमस्ते दुनिया हिन्दी क्षत्रिय धन्यवाद विद्यालय १२३ किताब", [0x905, 0x939]),
  bengali: language("বাংলা নমস্কার পৃথিবী ধন্যবাদ ক্ষমতা ১২৩", [0x985, 0x9b9]),
  thai: language("สวัสดี ชาวโลก ขอบคุณ ภาษาไทย กรุงเทพ น้ำ ๑๒๓", [0xe01, 0xe2e], ""),
  chinese: language(
    "你好 世界 预算 请求 模型 安全 我们 今天 ， 。 ２０２４ 中华人民共和国",
    [0x4e00, 0x9fa5],
    "",
  ),
  japanese: language(
    "こんにちは 世界 トークン 日本語 テスト です 、 。 ひらがな カタカナ",
    [0x3041, 0x30f6],
    "",
  ),
  korean: language("안녕하세요 세계 토큰 한국어 감사합니다 예산 요청", [0xac00, 0xd7a3]),
};

const CODE = (
  'const|let|function (|) => {|}|return |await |if (x === |) {|\n  |\n\t|\n\n|// note\n|/* a */|"text"|`a`|[0]|' +
  "!=|<=>|->|::|self.|def f(a, b):|\r\n|0x1F4A9|3.14159|1_000_000|camelCaseName|SNAKE_CASE|HTTPServer|<div class=|</p>|" +
  "https://example.com/a/b?c=d&e=%20f|\\u0041|{{|}}|;|,|...|---|====|##|don't|'S|'LL"
)
  .split("|")
  .concat("<|endoftext|>", "<|im_start|>", "||");
const EMOJI = "😀 👩‍👩‍👧‍👦 🇩🇪 ❤️ 👍🏽 ☃ 🏳️‍🌈 ✅ 1️⃣ 🧑🏿‍🚀 ™ © ∑ → ½ Ⅷ ² ﷽ ａｂｃ".split(" ");
const WHITE = [
  " ",
  "  ",
  "\n",
  "\r\n",
  "\t",
  "\u00a0",
  "\u2003",
  "\u3000",
  "\u0085",
  "\u2028",
  "\v",
  "\ufeff",
  "\n\n",
];
const MARKS = [
  "\u0301",
  "\u0308",
  "\u20dd",
  "\ufe0f",
  "\u093f",
  "ǅ",
  "ʰ",
  "ª",
  "ß",
  "A",
  "Z",
  "a",
  "'s",
  "'",
  "/",
  "!",
];

type Next = (n: number) => number;

const pick = <T>(next: Next, from: T[]): T => from[next(from.length)] as T;
const times = (n: number, make: () => string): string => Array.from({ length: n }, make).join("");

const wellFormed = (text: string): string => Buffer.from(text).toString();

function word(next: Next, { words, letters: [from, to] }: Language): string {
  const kind = next(10);
  if (kind === 0) return times(1 + next(9), () => String.fromCodePoint(from + next(to - from + 1)));
  const text = pick(next, words);
  if (kind === 1) return text.toUpperCase();
  if (kind === 2) return text + pick(next, words);
  if (kind === 3) return text.slice(next(text.length));
  return text;
}

/** A sentence in `name`, about 40 characters. */
export function sentence(next: Next, name: string): string {
  const from = LANGUAGES[name] as Language;
  const text = Array.from({ length: 3 + next(9) }, () => word(next, from)).join(from.separator);
  return text + pick(next, [". ", "! ", "? ", ", ", "\n", " (", ") ", ": ", "… ", " – ", "\n\n"]);
}

export const KINDS: Record<string, (next: Next) => string> = {
  code: (next) => times(4 + next(20), () => pick(next, CODE) + (next(3) ? "" : " ")),
  emoji: (next) => times(1 + next(8), () => pick(next, EMOJI) + (next(4) ? "" : " ")),
  numbers: (next) =>
    times(1 + next(6), () => `${next(10 ** (1 + next(9)))}${pick(next, [" ", ".", ",", "-", "%", ""])}`),
  white: (next) => times(1 + next(12), () => pick(next, WHITE).repeat(1 + next(next(8) ? 3 : 200))),
  marks: (next) => times(1 + next(12), () => pick(next, MARKS) + (next(6) ? "" : pick(next, WHITE))),
  letters: (next) => times(1 + next(60), () => String.fromCharCode(97 + next(26))),
  repeat: (next) =>
    pick(next, ["a", "ab", "=", "-", " ", "\n", "é", "中", "!?"]).repeat(1 + next(next(8) ? 20 : 400)),
  points: (next) =>
    times(1 + next(20), () => wellFormed(String.fromCodePoint(next(next(2) ? 0x3000 : 0x20000)))),
  bytes: (next) => Buffer.from(Array.from({ length: 1 + next(60) }, () => next(256))).toString(),
};

/** Mixed text of about `length` characters. */
export function mixedText(next: Next, length: number): string {
  const languages = Object.keys(LANGUAGES);
  const kinds = Object.values(KINDS);
  let text = "";
  while (text.length < length)
    text += next(2) ? sentence(next, pick(next, languages)) : pick(next, kinds)(next);
  return text;
}
