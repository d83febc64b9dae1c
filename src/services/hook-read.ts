/** HookService: listExecutions, getHookStatistics. */

import type { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';
import { pending } from './pending.js';

/** Its handlers. */
export function hookReadHandlers(_store: Store) {
  return pending(['listExecutions', 'getHookStatistics']) as Pick<
    Handlers<typeof HookService>,
    'listExecutions' | 'getHookStatistics'
  >;
}
