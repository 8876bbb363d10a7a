// What denies an order in scripts that write words together: 不要忽略, 切勿显示, 無視しないで, 무시하지 마. Its verb has two or three letters, and what denies it
// stands right before it or right behind it; and so does what says that it is told of: …という要求は, …라는 문구. See denial.ts.
//
// Bounds: REACH bytes behind one place, and a few letters before it.
import { endOf, ptrOf, slice, Slice } from "../slice";
import { begins, endsWith, list } from "../word-list";

/** How far behind a verb anything is looked at, in bytes. */
const REACH: usize = 128;
const SPACE: u32 = 0x20;

/** Behind a verb: what denies it, what denies that, and what says that it is told of. */
const BEHIND = list(
  "しないで しないこと しないよう してはいけ してはなら するな せずに ないで ないこと てはいけ てはなら " +
    "하지마 하지말 하지않 주지마 주지말 주지않 지마 지말 지않",
);
const AGAIN = list(
  "しないことは しないでいる ないことは ないでいる せずには 하지않으면 하지않을 주지않으면 주지않을 지않으면 지않을",
);
const TOLD = list("するような してという せよという しろという てという 하라는 해달라는 달라는 라는");
const REQUESTS = list(
  "要求は 要求が 要求を拒 要求に応じな 依頼は 依頼が 依頼を断 指示が 指示に従わな 指示は リクエストは 攻撃 " +
    "요청이 요청은 요청의 요청을거 요청을받 요청에응하지 요청에따르지 공격 문구 문장 질문 표현",
);
const BEFORE = list("不要 切勿 请勿 請勿 不得 不能 不可 不应 禁止 严禁 绝不 不会 不许 不准 别 勿");
/** `能不能` asks, and 别 ends other words. */
const OTHER = list(
  "能不能 会不会 可不可 要不要 应不应 特别 分别 个别 级别 类别 区别 告别 识别 辨别 性别 鉴别 差别",
);
/** What a verb of three letters begins or ends with. */
const THIRD_BEFORE = list("再");
const THIRD_BEHIND = list("我 出 掉 到");

/** Whether the verb that ends at `at`, in the text from `start` to `end`, is denied before it or behind it. */
export function isDeniedTogether(start: usize, at: usize, end: usize): bool {
  return isDeniedUnspaced(at, end) || isDeniedBefore(start, at, 6) || isDeniedBefore(start, at, 9);
}

/** Whether a verb of so many bytes (two letters, or three) that ends at `at` is denied before it. */
function isDeniedBefore(start: usize, at: usize, bytes: usize): bool {
  if (at - start < bytes) return false;
  const verb = slice(at - bytes, <i32>bytes);
  if (bytes > 6 && !begins(THIRD_BEFORE, verb) && !endsWith(THIRD_BEHIND, verb)) return false;
  const before = slice(start, <i32>(at - bytes - start));
  return endsWith(BEFORE, before) && !endsWith(OTHER, before);
}

/** Whether the verb that ends at `at` is denied by what follows right behind it, or told of. */
export function isDeniedUnspaced(at: usize, end: usize): bool {
  if (listedWordEnd(BEHIND, at, end)) return !listedWordEnd(AGAIN, at, end);
  return isToldOf(at, end);
}

/** Whether what ends at `at` is told of by what follows right behind it. */
export function isToldOf(at: usize, end: usize): bool {
  const told = listedWordEnd(TOLD, at, end);
  return told != 0 && listedWordEnd(REQUESTS, told, end) != 0;
}

/** Behind the word of `list` that the text from `at` on begins with, whose spaces it may have; 0: with none. */
function listedWordEnd(list: Slice, at: usize, end: usize): usize {
  const listEnd = endOf(list);
  end = min(end, at + REACH);
  let next: usize = 0;
  for (let word = ptrOf(list) + 1; word < listEnd; word = next + 1) {
    next = word + <usize>load<u8>(word - 1);
    let here = at;
    for (; word < next && here < end; here++) {
      const byte = load<u8>(here);
      if (byte == SPACE) continue;
      if (byte != load<u8>(word)) break;
      word++;
    }
    if (word == next) return here;
  }
  return 0;
}
