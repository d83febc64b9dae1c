/** Statements of ExportEvents. */

import { EVENT } from './audit-columns.js';
import { FILTER_MATCHES } from './audit-filter.sql.js';
import { timeSlices } from './time-slices.sql.js';

/** Slices of events: $1 to $13 as `filterParams` gives them. */
export const eventSlices = timeSlices({
  name: 'events',
  table: 'storage_audit',
  columns: EVENT,
  matches: FILTER_MATCHES,
  params: 13,
});
