/** Events as a person reads them: a line each, and below it why one failed. */

import type { AuditEvent } from '../../client/index.js';
import { shortTime } from '../cells.js';
import { type Output, widthOf } from '../output.js';
import { escapeText } from '../scan/names.js';
import { StreamedTable } from '../streamed-table.js';
import type { Column } from '../table.js';

/** Who did it, as people know them where they do. */
export function whoOf({ username, userId }: AuditEvent): string {
  return username === '' ? userId : username;
}

const columns: readonly Column<AuditEvent>[] = [
  { title: 'TIME', cell: ({ timestamp }) => shortTime(timestamp) },
  { title: 'WHO', cell: whoOf },
  { title: 'FROM', cell: ({ ipAddress }) => ipAddress },
  { title: 'ACTION', cell: ({ action }) => action },
  { title: 'RESULT', cell: ({ success }) => (success === false ? 'failed' : 'ok') },
  { title: 'KEY', cell: keyOf },
];

/** The object's key; of what has none, such as a hook, its name as the service notes it. */
function keyOf({ objectKey, metadata }: AuditEvent): string {
  const name = metadata?.['hook_name'] ?? metadata?.['node'] ?? metadata?.['partition'];
  return objectKey === '' && typeof name === 'string' ? `(${name})` : objectKey;
}

const leastFirst = ['FROM', 'RESULT'];

/** Events of what has no key may come first. */
const keyColumnsWanted = 24;

/** Why an event failed; that it did is seen there, too, where no column says so. */
export function failureLines({ success, errorMessage }: AuditEvent): readonly string[] {
  if (success !== false) return [];
  const why = errorMessage === '' ? '' : `: ${escapeText(errorMessage)}`;
  return [`    failed${why}`];
}

/** A table of events for this output. */
export function eventTable(output: Output): StreamedTable<AuditEvent> {
  const options = { width: widthOf(output), leastFirst, lastWanted: keyColumnsWanted };
  return new StreamedTable(columns, { ...options, below: failureLines });
}
