/** HookService: exportExecutions. */

import type { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';
import { pending } from './pending.js';

/** Its handlers. */
export function hookExportHandlers(_store: Store) {
  return pending(['exportExecutions']) as Pick<Handlers<typeof HookService>, 'exportExecutions'>;
}
