/** Colours on a terminal that has them. */

/** The text with an SGR attribute, such as `31` for red; what is behind it has none. */
export function paint(text: string, sgr: number | string): string {
  return `\u001b[${sgr}m${text}\u001b[0m`;
}
