/** Statements of ExportExecutions. */

import { EXECUTION } from './execution-columns.js';
import { timeSlices } from './time-slices.sql.js';

/** Slices of executions: $1 project, $2 to $6 filter, $7 to $8 range. */
export const executionSlices = timeSlices({
  name: 'executions',
  table: 'storage_hooks',
  columns: EXECUTION,
  matches: `($2::text is null or hook_name = $2)
      and ($3::text is null or event_type = $3)
      and ($4::text is null or object_key = $4)
      and ($5::boolean is null or success = $5)
      and ($6::text is null or correlation_id = $6)`,
  params: 8,
});
