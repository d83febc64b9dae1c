/** HookService: hooks and their executions, in files like those of its protos. */

import { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import type { Store } from '../store/store.js';
import { defineService, type Handlers, type ServiceDefinition } from './handler.js';
import { hookExportHandlers } from './hook-export.js';
import { hookLogHandlers } from './hook-log.js';
import { hookManageHandlers } from './hook-manage.js';
import { hookReadHandlers } from './hook-read.js';

/** HookService over a store. */
export function hookService(store: Store): ServiceDefinition {
  const handlers = {
    ...hookManageHandlers(store),
    ...hookLogHandlers(store),
    ...hookReadHandlers(store),
    ...hookExportHandlers(store),
  } satisfies Handlers<typeof HookService>;
  return defineService(HookService, handlers);
}
