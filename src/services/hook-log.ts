/** HookService: logExecution, logExecutions. */

import type { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';
import { pending } from './pending.js';

/** Its handlers. */
export function hookLogHandlers(_store: Store) {
  return pending(['logExecution', 'logExecutions']) as Pick<
    Handlers<typeof HookService>,
    'logExecution' | 'logExecutions'
  >;
}
