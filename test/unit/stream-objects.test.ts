/** What a stream of objects says of itself, over a router that gives what the test wants. */

import { crc32 } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { deferred } from '../../src/lib/deferred.js';
import type { Router } from '../../src/postgres/router-api.js';
import { systemCall } from '../../src/postgres/system-call.js';
import { streamObjects } from '../../src/store/stream-objects.js';

const item = create(StreamObjectsResponseSchema, { objects: [{ objectKey: 'a' }] });
const bytes = Buffer.from(toBinary(StreamObjectsResponseSchema, item));
const batch = { bytes, items: 1, crc32: crc32(bytes), lastKey: 'a' };

const router = {
  run: async () => [{ found: true }],
  async *stream() {
    yield batch;
  },
} as unknown as Router;

describe('streamObjects', () => {
  it('counts no item in a heartbeat before the item is sent', async () => {
    const keys = deferred<void>();
    const sealer = {
      seal: async () => {
        await keys.promise;
        return 'token';
      },
      open: async () => undefined,
    };
    const filter = {
      ...{ prefix: '', storageBackend: '', storageClass: '', showDeleted: false },
      resumeToken: '',
    };
    const call = systemCall({ method: 'test', timeoutMs: 10_000 });
    const counts: bigint[] = [];
    for await (const message of streamObjects({ router, sealer, heartbeatMs: 1 }, call, filter)) {
      const { objects, checkpoint, resumeToken } = fromBinary(StreamObjectsResponseSchema, message);
      counts.push(checkpoint?.items ?? -1n);
      expect(resumeToken).toBe(checkpoint?.items === 0n ? '' : 'token');
      if (objects.length === 0 && counts.length === 3) keys.resolve();
    }
    expect(counts.slice(0, 3)).toEqual([0n, 0n, 0n]);
    expect(counts.at(-1)).toBe(1n);
  });
});
