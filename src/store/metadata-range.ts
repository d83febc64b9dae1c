/** Comparisons of one path of the metadata, as one range of an index by value and key. */

import {
  ComparisonOperator,
  type MetadataComparison,
} from '../../gen/stowage/v1/storage_list_pb.js';
import { invalidField, type StowageError } from '../errors.js';
import { shellWord } from '../lib/shell-word.js';
import { type MetadataType, metadataNames } from '../postgres/metadata-path.js';
import type { Place } from './list-order.js';
import { compareKeys, KEY_CEILING, prefixCeiling, prefixFloor } from './object-keys.js';

/** Both ends are themselves not in the range. */
export interface MetadataRange {
  readonly type: MetadataType;
  readonly names: readonly string[];
  readonly above: Place;
  readonly below: Place;
  /** Every comparison asks for the same: the range is in the order of keys. */
  readonly isEqual: boolean;
}

/** Beyond every value of an index: its texts are no longer than keys. */
const ENDS: Readonly<Record<MetadataType, readonly [string, string]>> = {
  text: ['', KEY_CEILING],
  number: ['-infinity', 'infinity'],
};

/**
 * The range in which all comparisons hold; the prefix bounds its keys where it has one value only.
 * @throws StowageError INVALID_REQUEST for a path beyond its bounds, and where the comparisons are
 *   of several paths or types.
 */
export function metadataRange(
  comparisons: readonly MetadataComparison[],
  prefix: string,
): MetadataRange | undefined {
  const [first] = comparisons;
  if (first === undefined) return undefined;
  const names = metadataNames('metadata_comparisons[0].path', first.path);
  const type = typeOf(first);
  for (const [index, each] of comparisons.entries()) {
    const field = `metadata_comparisons[${index}]`;
    if (each.path !== first.path) throw invalidField(`${field}.path`, `must be ${first.path} too`);
    if (typeOf(each) !== type)
      throw invalidField(field, `must have an operand of type ${type} too`);
  }
  const isEqual = comparisons.every(({ operator }) => operator === ComparisonOperator.EQUAL);
  const keys = isEqual ? [prefixFloor(prefix), prefixCeiling(prefix)] : ['', KEY_CEILING];
  const [floor = '', ceiling = ''] = keys;
  const [least, greatest] = ENDS[type];
  let above: Place = { value: least, key: '' };
  let below: Place = { value: greatest, key: KEY_CEILING };
  for (const comparison of comparisons) {
    const value = String(comparison.operand.value);
    const [from, to] = endsOf(comparison.operator, floor, ceiling);
    if (from !== undefined) above = later(type, above, { value, key: from });
    if (to !== undefined) below = earlier(type, below, { value, key: to });
  }
  return { type, names, above, below, isEqual };
}

/** The error where the path of a range has no index that is ready: with the command for one. */
export function notIndexed({ type, names }: MetadataRange): StowageError {
  const command = `stowage index add ${shellWord(`metadata.${names.join('.')}`)} --type ${type}`;
  return invalidField(
    'metadata_comparisons[0].path',
    `has no index for values of type ${type} that is ready; run \`${command}\``,
  );
}

function typeOf({ operand }: MetadataComparison): MetadataType {
  return operand.case === 'number' ? 'number' : 'text';
}

/** Which keys at the operand's value the range begins behind and ends before. */
function endsOf(
  operator: ComparisonOperator,
  floor: string,
  ceiling: string,
): readonly [string | undefined, string | undefined] {
  switch (operator) {
    case ComparisonOperator.EQUAL:
      return [floor, ceiling];
    case ComparisonOperator.LESS:
      return [undefined, ''];
    case ComparisonOperator.LESS_OR_EQUAL:
      return [undefined, KEY_CEILING];
    case ComparisonOperator.GREATER:
      return [KEY_CEILING, undefined];
    case ComparisonOperator.GREATER_OR_EQUAL:
      return ['', undefined];
    case ComparisonOperator.UNSPECIFIED:
      throw invalidField('metadata_comparisons.operator', 'must be given');
  }
}

function comparePlaces(type: MetadataType, left: Place, right: Place): number {
  const byValue =
    type === 'text'
      ? compareKeys(left.value, right.value)
      : numberOf(left.value) - numberOf(right.value);
  // The difference of two infinities is no number, and they are the same.
  return byValue || compareKeys(left.key, right.key);
}

/** `Number` knows Infinity only. */
function numberOf(value: string): number {
  return Number(value.replace('infinity', 'Infinity'));
}

function later(type: MetadataType, left: Place, right: Place): Place {
  return comparePlaces(type, left, right) < 0 ? right : left;
}

function earlier(type: MetadataType, left: Place, right: Place): Place {
  return comparePlaces(type, left, right) > 0 ? right : left;
}
