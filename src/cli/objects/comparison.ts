/** `--where`: a comparison of a metadata path, as a person writes it. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { InvalidArgumentError } from 'commander';
import {
  ComparisonOperator,
  type MetadataComparisonSchema,
} from '../../../gen/stowage/v1/storage_list_pb.js';

/** A comparison for ListObjects. */
export type Comparison = MessageInitShape<typeof MetadataComparisonSchema>;

const operators: Readonly<Record<string, ComparisonOperator>> = {
  '=': ComparisonOperator.EQUAL,
  '<': ComparisonOperator.LESS,
  '<=': ComparisonOperator.LESS_OR_EQUAL,
  '>': ComparisonOperator.GREATER,
  '>=': ComparisonOperator.GREATER_OR_EQUAL,
};

// All signs up to the operand: what is none of the operators is refused, not read as another one.
const form = /^metadata\.([^=<>]+?)(!?[=<>]+)(.*)$/s;

/** A number or a text in quotes, as JSON has them; whatever is neither is the text itself. */
function operandOf(text: string): NonNullable<Comparison['operand']> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'number') return { case: 'number', value };
    if (typeof value === 'string') return { case: 'text', value };
  } catch {
    // A text without quotes.
  }
  return { case: 'text', value: text };
}

/** Reads `metadata.owner>=a`; for an option that may be given several times. */
export function addComparison(text: string, before: readonly Comparison[]): Comparison[] {
  const [, path, operator = '', value = ''] = form.exec(text) ?? [];
  if (path === undefined) {
    throw new InvalidArgumentError('must be like metadata.owner>=a, with =, <, <=, > or >=.');
  }
  const known = operators[operator];
  if (known === undefined) {
    throw new InvalidArgumentError(
      `${operator} is no operator, which are =, <, <=, > and >=; a text that begins with one of ` +
        'these signs stands in double quotes.',
    );
  }
  if (value.trim() === '') {
    throw new InvalidArgumentError(
      `no value stands behind ${operator}; the empty text is two double quotes.`,
    );
  }
  return [...before, { path: path.trim(), operator: known, operand: operandOf(value.trim()) }];
}
