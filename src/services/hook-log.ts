/** HookService: what logs executions. */

import type { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import { invalidField } from '../errors.js';
import { Appender } from '../store/append-calls.js';
import { executionTable } from '../store/append-table.js';
import { executionRow } from '../store/execution-row.js';
import { timestampMessage } from '../store/messages.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of what hook_execution.proto appends. */
export function hookLogHandlers(store: Store) {
  const executions = new Appender(store, executionTable);
  return {
    async logExecution({ project, execution }, context) {
      if (execution === undefined) throw invalidField('execution', 'is required');
      const row = executionRow(execution, 'execution', Date.now());
      const token = await executions.one(scopedCall(context, { project }), row);
      return { id: row.id, timestamp: timestampMessage(row.timestamp), token };
    },

    async logExecutions(request, context) {
      const nowMs = Date.now();
      const rows = request.executions.map((execution, at) =>
        executionRow(execution, `executions[${at}]`, nowMs),
      );
      const call = scopedCall(context, { project: request.project });
      const { appended, token } = await executions.many(call, rows);
      const known = BigInt(rows.length) - appended;
      return { ids: rows.map(({ id }) => id), appended, known, token };
    },
  } satisfies Partial<Handlers<typeof HookService>>;
}
