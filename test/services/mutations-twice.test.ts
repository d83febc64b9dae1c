/** Every mutation may be run again: what a first run left outside of it misleads none. */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HookSchema } from '../../gen/stowage/v1/hook_pb.js';
import { ProjectSchema } from '../../gen/stowage/v1/project_pb.js';
import {
  MoveObjectRequestSchema,
  MovePrefixRequestSchema,
} from '../../gen/stowage/v1/storage_move_pb.js';
import { PurgeObjectsRequestSchema } from '../../gen/stowage/v1/storage_purge_pb.js';
import {
  BatchRecordObjectsRequestSchema,
  IngestObjectsRequestSchema,
  RecordObjectRequestSchema,
} from '../../gen/stowage/v1/storage_record_pb.js';
import {
  BatchDeleteObjectsRequestSchema,
  DeleteObjectRequestSchema,
  UndeleteObjectRequestSchema,
  UpdateObjectRequestSchema,
} from '../../gen/stowage/v1/storage_update_pb.js';
import { PruneVersionsRequestSchema } from '../../gen/stowage/v1/version_prune_pb.js';
import {
  DeleteVersionRequestSchema,
  RecordVersionRequestSchema,
  RestoreVersionRequestSchema,
  UpdateVersionRequestSchema,
} from '../../gen/stowage/v1/version_write_pb.js';
import type { Call } from '../../src/postgres/call.js';
import type { Router, Transaction } from '../../src/postgres/router-api.js';
import type { RouterHandle } from '../../src/postgres/router-handle.js';
import { removeObject, removeObjects, undeleteObject } from '../../src/store/delete-objects.js';
import { removeVersion } from '../../src/store/delete-version.js';
import { expireObjects } from '../../src/store/expire-objects.js';
import { changeHook, makeHook, removeHook } from '../../src/store/hooks.js';
import { moveObject } from '../../src/store/move-objects.js';
import { movePrefix } from '../../src/store/move-prefix.js';
import { changeProject, makeProject, removeProject } from '../../src/store/projects.js';
import { pruneVersions } from '../../src/store/prune-versions.js';
import { purgeObjects } from '../../src/store/purge-objects.js';
import { ingestBatch, recordBatch, recordObject } from '../../src/store/record-calls.js';
import { recordVersion } from '../../src/store/record-version.js';
import { restoreVersion } from '../../src/store/restore-version.js';
import type { Store } from '../../src/store/store.js';
import { updateObject } from '../../src/store/update-object.js';
import { updateVersion } from '../../src/store/update-version.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { keeping } from '../support/keeping.js';
import { startTestRouter, testCall } from '../support/router.js';

const object = (objectKey: string) => ({ objectKey, etag: 'a', size: 1n, storageBackend: 's3' });
const hook = (fields: MessageInitShape<typeof HookSchema>) =>
  create(HookSchema, {
    hookName: 'h',
    eventTypes: ['*'],
    secret: 'sixteen bytes and more',
    ...fields,
  });
const past = { seconds: 1n, nanos: 0 };

const secretsKey = new Uint8Array(32);

type Mutation = (store: Store, call: Call) => Promise<unknown>;

/** In an order in which each finds what it needs. */
const mutations: readonly (readonly [string, Mutation])[] = [
  [
    'CreateProject',
    (store, call) => makeProject(store, call, create(ProjectSchema, { project: call.project }), ''),
  ],
  [
    'UpdateProject',
    (store, call) => {
      const project = create(ProjectSchema, { project: call.project, name: 'Atlas' });
      return changeProject(store, call, {
        ...{ project, paths: ['name'], ifRevision: 1n, requestId: '' },
      });
    },
  ],
  [
    'RecordObject',
    (store, call) =>
      recordObject(store, call, create(RecordObjectRequestSchema, { object: object('a/1') })),
  ],
  [
    'BatchRecordObjects',
    (store, call) => {
      const requests = [{ object: object('a/2') }, { object: object('b') }];
      return recordBatch(store, call, create(BatchRecordObjectsRequestSchema, { requests }));
    },
  ],
  [
    'IngestObjects',
    (store, call) => {
      const due = { ...object('due'), purgeAt: past };
      const objects = [due, object('b'), object('c')];
      return ingestBatch(store, call, create(IngestObjectsRequestSchema, { objects }));
    },
  ],
  [
    'UpdateObject',
    (store, call) => {
      const request: MessageInitShape<typeof UpdateObjectRequestSchema> = {
        object: { ...object('b'), owner: 'ada' },
        updateMask: { paths: ['owner'] },
        ifRevision: 1n,
      };
      return updateObject(store, call, create(UpdateObjectRequestSchema, request));
    },
  ],
  [
    'DeleteObject',
    (store, call) =>
      removeObject(store, call, create(DeleteObjectRequestSchema, { objectKey: 'b' })),
  ],
  [
    'UndeleteObject',
    (store, call) =>
      undeleteObject(store, call, create(UndeleteObjectRequestSchema, { objectKey: 'b' })),
  ],
  [
    'RecordVersion',
    (store, call) => {
      const version = { objectKey: 'b', versionId: 'v2', etag: 'b', isLatest: true };
      return recordVersion(store, call, create(RecordVersionRequestSchema, { version }));
    },
  ],
  [
    'UpdateVersion',
    (store, call) => {
      const request: MessageInitShape<typeof UpdateVersionRequestSchema> = {
        version: { objectKey: 'b', versionId: 'v2', tags: { a: '1' } },
        updateMask: { paths: ['tags.a'] },
        ifRevision: 1n,
      };
      return updateVersion(store, call, create(UpdateVersionRequestSchema, request));
    },
  ],
  [
    'RestoreVersion',
    (store, call) => {
      const request = { objectKey: 'b', versionId: 'v2', comment: 'again' };
      return restoreVersion(store, call, create(RestoreVersionRequestSchema, request));
    },
  ],
  [
    'DeleteVersion',
    (store, call) => {
      const request = { objectKey: 'b', versionId: 'v2' };
      return removeVersion(store, call, create(DeleteVersionRequestSchema, request));
    },
  ],
  [
    'PruneVersions',
    (store, call) => {
      const request = { objectKey: 'b', keepNewest: 1 };
      return pruneVersions(store, call, create(PruneVersionsRequestSchema, request));
    },
  ],
  [
    'MoveObject',
    (store, call) => {
      const request = { sourceKey: 'b', destinationKey: 'd' };
      return moveObject(store, call, create(MoveObjectRequestSchema, request));
    },
  ],
  [
    'MovePrefix',
    (store, call) => {
      const request = { sourcePrefix: 'a/', destinationPrefix: 'e/' };
      return movePrefix(store, call, create(MovePrefixRequestSchema, request));
    },
  ],
  [
    'BatchDeleteObjects',
    (store, call) => {
      const requests = [{ objectKey: 'c' }, { objectKey: 'd' }];
      return removeObjects(store, call, create(BatchDeleteObjectsRequestSchema, { requests }));
    },
  ],
  [
    'the expiry of objects',
    (store, call) => {
      // As an election does that another server holds at the second run.
      let asked = 0;
      return expireObjects(store, call, async () => {
        asked += 1;
        return asked % 2 === 1;
      });
    },
  ],
  [
    'PurgeObjects',
    (store, call) => {
      const request = { deletedBefore: { seconds: 4_000_000_000n, nanos: 0 } };
      return purgeObjects(store, call, create(PurgeObjectsRequestSchema, request));
    },
  ],
  ['CreateHook', (store, call) => makeHook(store, call, hook({}), '')],
  [
    'UpdateHook',
    (store, call) => {
      const update = { paths: ['disabled', 'secret'], ifRevision: 1n, requestId: '' };
      return changeHook(store, call, { ...update, hook: hook({ disabled: true }) });
    },
  ],
  [
    'DeleteHook',
    (store, call) => {
      const deletion = { hookName: 'h', allowMissing: false, ifRevision: 2n, requestId: '' };
      return removeHook(store, call, deletion);
    },
  ],
  ['DeleteProject', (store, call) => removeProject(store, call, { ifRevision: 2n, requestId: '' })],
];

/** What a response says, but for what is drawn anew. */
const lasting = (response: unknown) =>
  JSON.parse(
    JSON.stringify(response, (key, value: unknown) => {
      if (/^(id|versionId|token|\w+At|lastModified|resumeToken)$/.test(key)) return '';
      return typeof value === 'bigint' ? `${value}` : value;
    }) ?? 'null',
  ) as unknown;

/** Runs each transaction twice: the first run is rolled back at its end. */
function twice(router: Router): Router {
  return {
    run: (statement, params, call) => router.run(statement, params, call),
    stream: (statement, params, call, options) => router.stream(statement, params, call, options),
    async transaction(call, body) {
      const undone = new Error('undone');
      const first = router.transaction(call, async (transaction) => {
        const run: Transaction['run'] = (statement, params) => transaction.run(statement, params);
        await body({ run, runLast: run });
        throw undone;
      });
      await expect(first).rejects.toMatchObject({ cause: undone });
      return router.transaction(call, body);
    },
  };
}

describe('A mutation that is run twice', () => {
  let database: TestDatabase;
  let router: RouterHandle;

  beforeAll(async () => {
    const { nodes } = sharedCluster();
    database = await createTestDatabase(nodes[0]?.url ?? '');
    router = await startTestRouter({ url: database.serviceUrl ?? '', nodes });
  });

  afterAll(async () => {
    await router.close();
    await database.drop();
  });

  it.each(mutations)('answers as one that is run once: %s', async (name, mutate) => {
    const store = {
      sealer: router.sealer,
      heartbeatMs: 1_000,
      keeping: { ...keeping, secretsKey },
    };
    const once = await mutate({ ...store, router }, testCall({ project: 'once' }));
    const again = await mutate({ ...store, router: twice(router) }, testCall({ project: 'again' }));
    const inProject = (told: unknown) => JSON.stringify(lasting(told)).replace('again', 'once');
    if (name === 'the expiry of objects') expect([once, again]).toEqual([1, undefined]);
    else expect(inProject(again)).toBe(inProject(once));
  });

  it('leaves what one that is run once leaves', async () => {
    const admin = await database.connect();
    const left = async (project: string) => [
      await admin.query(
        `select object_key, revision, owner, deleted_at is null as lives from storage_objects
         where project_id = $1 and object_key <> 'due' order by object_key`,
        [project],
      ),
      await admin.query(
        `select kind, object_key, revision, owner, changed_fields from storage_changes
         where project_id = $1 and object_key <> 'due' order by seq`,
        [project],
      ),
      await admin.query(
        `select action, object_key, count(*) from storage_audit
         where project_id = $1 and object_key <> 'due' group by 1, 2 order by 1, 2`,
        [project],
      ),
    ];
    expect(await left('again')).toEqual(await left('once'));
  });
});
