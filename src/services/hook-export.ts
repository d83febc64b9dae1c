/** HookService: exportExecutions. */

import type { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import { exportExecutions } from '../store/export-executions.js';
import type { Store } from '../store/store.js';
import { EncodedMessage, type Handlers, scopedCall } from './handler.js';

/** Its handlers. */
export function hookExportHandlers(store: Store) {
  return {
    async *exportExecutions(request, context) {
      const call = scopedCall(context, request);
      for await (const bytes of exportExecutions(store, call, request))
        yield new EncodedMessage(bytes);
    },
  } satisfies Partial<Handlers<typeof HookService>>;
}
