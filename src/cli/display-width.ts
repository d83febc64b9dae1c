/** How many columns a text takes on a terminal. It has no controls: they are escaped before. */

const narrow = /^[\u0020-\u007e]*$/;

/** First and last characters of two columns, by Unicode's East Asian width; emoji are apart. */
const wideRanges: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1aff0, 0x1b2ff],
  [0x1f200, 0x1f2ff],
  [0x20000, 0x3fffd],
];

/** Shown as a picture: by themselves, or with the variation selector behind them. */
const picture = /^(?:\p{Emoji_Presentation}|\p{Emoji}\ufe0f)/u;

/** A mark without a character to stand on. */
const markOnly = /^\p{M}/u;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

function graphemeWidth(grapheme: string): number {
  const point = grapheme.codePointAt(0) ?? 0;
  if (wideRanges.some(([first, last]) => point >= first && point <= last)) return 2;
  if (picture.test(grapheme)) return 2;
  return markOnly.test(grapheme) ? 0 : 1;
}

/** Columns of the text. Terminals differ on emoji of many parts: these count as one picture. */
export function displayWidth(text: string): number {
  if (narrow.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}
