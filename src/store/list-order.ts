/** In which order objects are listed. */

import { invalidField } from '../errors.js';
import { KEY_CEILING } from './object-keys.js';

/** What a list can be ordered by, as its requests name it. */
const FIELDS = ['object_key', 'last_modified', 'size'] as const;

/** An order; what is equal stands in the order of keys, in the same direction. */
export interface ListOrder {
  readonly field: (typeof FIELDS)[number];
  readonly isDescending: boolean;
}

/** Where a page begins: behind a key at a value of the field; of keys the value is empty. */
export interface Place {
  readonly value: string;
  readonly key: string;
}

/** Below and above every value of a field. */
const ENDS: Readonly<Record<ListOrder['field'], readonly [string, string]>> = {
  object_key: ['', ''],
  last_modified: ['-infinity', 'infinity'],
  size: ['-1', '9223372036854775807'],
};

/**
 * Reads `size` or `size desc`; empty is the order of keys.
 * @throws StowageError INVALID_REQUEST for any other text.
 */
export function parseOrder(orderBy: string): ListOrder {
  const [name = '', direction, ...rest] = orderBy === '' ? ['object_key'] : orderBy.split(' ');
  const field = FIELDS.find((each) => each === name);
  const isKnown = direction === undefined || direction === 'asc' || direction === 'desc';
  if (field === undefined || !isKnown || rest.length > 0) {
    throw invalidField('order_by', `must be ${FIELDS.join(', ')}, or one of them with " desc"`);
  }
  return { field, isDescending: direction === 'desc' };
}

/** Before the first object of a list. */
export function startOf({ field, isDescending }: ListOrder): Place {
  const [least, greatest] = ENDS[field];
  return isDescending ? { value: greatest, key: KEY_CEILING } : { value: least, key: '' };
}
