/** What a stream of objects says of itself, over a router that gives what the test wants. */

import { crc32 } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { StreamObjectsResponseSchema } from '../../gen/stowage/v1/storage_list_pb.js';
import { deferred } from '../../src/lib/deferred.js';
import { formatSealed, formatTokenPayload, MAC_BYTES } from '../../src/lib/token-layout.js';
import type { Call } from '../../src/postgres/call.js';
import type { Router } from '../../src/postgres/router-api.js';
import { systemCall } from '../../src/postgres/system-call.js';
import { streamObjects } from '../../src/store/stream-objects.js';
import { keeping } from '../support/keeping.js';

const item = create(StreamObjectsResponseSchema, { objects: [{ objectKey: 'a' }] });
const bytes = Buffer.from(toBinary(StreamObjectsResponseSchema, item));
const batch = { bytes, items: 1, crc32: crc32(bytes), lastKey: 'a' };

const router = {
  run: async () => [{ found: true }],
  async *stream() {
    yield batch;
  },
} as unknown as Router;

const filter = {
  ...{ prefix: '', storageBackend: '', storageClass: '', showDeleted: false },
  resumeToken: '',
};

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
    const call = systemCall({ method: 'test', timeoutMs: 10_000 });
    const counts: bigint[] = [];
    for await (const message of streamObjects(
      { router, sealer, heartbeatMs: 1, keeping },
      call,
      filter,
    )) {
      const { objects, checkpoint, resumeToken } = fromBinary(StreamObjectsResponseSchema, message);
      counts.push(checkpoint?.items ?? -1n);
      expect(resumeToken).toBe(checkpoint?.items === 0n ? '' : 'token');
      if (objects.length === 0 && counts.length === 3) keys.resolve();
    }
    expect(counts.slice(0, 3)).toEqual([0n, 0n, 0n]);
    expect(counts.at(-1)).toBe(1n);
  });

  it('gives a token that covers its rows, not only what was asked before them', async () => {
    const servedBy = { node: 'a:1', role: 'standby', lagMs: 0 } as const;
    const history = {
      systemIdentifier: 1n,
      timeline: 1,
      promotion: 1,
      precision: 'exact',
    } as const;
    const at = (lsn: bigint) =>
      formatSealed({
        keyId: 1,
        payload: formatTokenPayload({ ...history, lsn }),
        mac: Buffer.alloc(MAC_BYTES),
      });
    const slow = {
      run: async (_statement: unknown, _params: unknown, call: Call) => {
        call.onServed(servedBy, at(9n));
        return [{ found: true }];
      },
      async *stream(_statement: unknown, _params: unknown, call: Call) {
        call.onServed(servedBy, at(10n));
        yield batch;
      },
    } as unknown as Router;
    const sealer = { seal: async () => 'token', open: async () => undefined };
    const call = systemCall({ method: 'test', timeoutMs: 10_000 });
    const store = { router: slow, sealer, heartbeatMs: 10_000, keeping };
    let summary = '';
    for await (const message of streamObjects(store, call, filter)) {
      summary = fromBinary(StreamObjectsResponseSchema, message).summary?.token ?? summary;
    }
    expect(summary).toBe(at(10n));
  });
});
