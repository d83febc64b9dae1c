/** HookService: createHook, getHook, listHooks, updateHook, deleteHook. */

import type { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import type { Store } from '../store/store.js';
import type { Handlers } from './handler.js';
import { pending } from './pending.js';

/** Its handlers. */
export function hookManageHandlers(_store: Store) {
  return pending(['createHook', 'getHook', 'listHooks', 'updateHook', 'deleteHook']) as Pick<
    Handlers<typeof HookService>,
    'createHook' | 'getHook' | 'listHooks' | 'updateHook' | 'deleteHook'
  >;
}
