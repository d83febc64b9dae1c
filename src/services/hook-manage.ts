/** HookService: hooks themselves. */

import type { HookService } from '../../gen/stowage/v1/hook_service_pb.js';
import { invalidField } from '../errors.js';
import { changeHook, makeHook, readHook, readHooks, removeHook } from '../store/hooks.js';
import type { Store } from '../store/store.js';
import { type Handlers, scopedCall } from './handler.js';

/** Handlers of hook_manage.proto. */
export function hookManageHandlers(store: Store) {
  return {
    async createHook({ project, hook, requestId }, context) {
      if (hook === undefined) throw invalidField('hook', 'is required');
      const call = scopedCall(context, { project });
      const { response, token } = await makeHook(store, call, hook, requestId);
      return { ...response, token };
    },

    async getHook(request, context) {
      return { hook: await readHook(store, scopedCall(context, request), request.hookName) };
    },

    listHooks: (request, context) => readHooks(store, scopedCall(context, request), request),

    async updateHook({ project, hook, updateMask, ifRevision, requestId }, context) {
      if (hook === undefined) throw invalidField('hook', 'is required');
      const paths = updateMask?.paths ?? [];
      const call = scopedCall(context, { project });
      const update = { hook, paths, ifRevision, requestId };
      const { response, token } = await changeHook(store, call, update);
      return { ...response, token };
    },

    async deleteHook({ project, ...deletion }, context) {
      const call = scopedCall(context, { project });
      const { response, token } = await removeHook(store, call, deletion);
      return { ...response, token };
    },
  } satisfies Partial<Handlers<typeof HookService>>;
}
