/** Writes JSON as PostgreSQL writes a jsonb: keys by length, then bytes; no exponents. */

import type { JsonValue } from '@bufbuild/protobuf';

/** The text of a jsonb value. */
export function jsonbText(value: JsonValue): string {
  if (typeof value === 'number') return plainNumber(value);
  if (typeof value === 'string') return quote(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(jsonbText).join(', ')}]`;
  const entries = Object.entries(value).toSorted(([a], [b]) => compareKeys(a, b));
  return `{${entries.map(([key, item]) => `${quote(key)}: ${jsonbText(item)}`).join(', ')}}`;
}

function compareKeys(a: string, b: string): number {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length - right.length || Buffer.compare(left, right);
}

/** Every character stands for itself but quotes, backslashes and controls. JSON.stringify too. */
function quote(text: string): string {
  return JSON.stringify(text);
}

function plainNumber(value: number): string {
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const match = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (match === null) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const point = whole.length + Number(exponent);
  const digits = whole + fraction;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return sign + digits.padEnd(point, '0');
}
