/** HookService: how the executions of hooks went. */

import type { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import { readHookStatistics } from '../store/hook-statistics.js';
import { listExecutions } from '../store/list-executions.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of hook_execution.proto that answer with one message and write nothing. */
export function hookReadHandlers(store: Store) {
  return {
    listExecutions: (request, context) =>
      listExecutions(store, scopedCall(context, request), request),

    getHookStatistics: (request, context) =>
      readHookStatistics(store, scopedCall(context, request), request),
  } satisfies Partial<Handlers<typeof HookService>>;
}
