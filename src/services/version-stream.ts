/** VersionService: streamVersions. */

import type { VersionService } from '../../gen/stowage/v1/version_service_pb.js';
import type { Store } from '../store/store.js';
import { streamAllVersions } from '../store/stream-versions.js';
import { EncodedMessage, type Handlers, scopedCall } from './handler.js';

/** Its handlers. */
export function versionStreamHandlers(store: Store) {
  return {
    async *streamVersions(request, context) {
      const call = scopedCall(context, request);
      for await (const bytes of streamAllVersions(store, call, request))
        yield new EncodedMessage(bytes);
    },
  } satisfies Partial<Handlers<typeof VersionService>>;
}
