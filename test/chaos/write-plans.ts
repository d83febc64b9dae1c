/** The writes of the workload: one intended change each, that may be sent as often as needed. */

import { ProjectService } from '../../gen/stowage/v1/project_service_pb.js';
import { RecordOutcome } from '../../gen/stowage/v1/storage_record_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import type { Random } from '../support/random.js';
import type { Caller, CallOptions } from './caller.js';
import type { Result } from './history.js';

/** What an attempt was answered. */
export interface Acknowledged {
  readonly results: readonly Result[];
  readonly token: string;
}

/** One intended change. */
export interface WritePlan {
  readonly op: string;
  readonly keys: readonly string[];
  readonly tag: string;
  readonly requestId: string | undefined;
  readonly ifRevision: number | undefined;
  /** Sends it once. @throws {CallError} */
  send(caller: Caller, options: CallOptions): Promise<Acknowledged>;
}

/** What plans are made of. */
export interface PlanInput {
  readonly random: Random;
  readonly project: string;
  readonly keys: readonly string[];
  /** The text that the write leaves behind. */
  readonly tag: string;
  /** The highest revision of a key that this caller has seen. */
  readonly revisionOf: (key: string) => number | undefined;
}

const BATCH_KEYS_MAX = 8;
const { recordObject, updateObject, deleteObject, batchRecordObjects } = StorageService.method;

/** Plans a random write. */
export function planWrite(input: PlanInput): WritePlan {
  const dice = input.random.below(100);
  if (dice < 45) return planRecord(input);
  if (dice < 65) return planUpdate(input);
  if (dice < 80) return planDelete(input);
  if (dice < 95) return planBatch(input);
  return planProject(input);
}

/** A UUID of version 4 from the run's own generator. */
export function randomUuid(random: Random): string {
  const hex = (digits: number) =>
    Array.from({ length: digits }, () => random.below(16).toString(16)).join('');
  return `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`;
}

function objectOf(objectKey: string, tag: string) {
  return { objectKey, size: 1n, storageBackend: 'chaos', etag: tag, owner: tag };
}

function planRecord({ random, project, keys, tag, revisionOf }: PlanInput): WritePlan {
  const key = random.pick(keys);
  // Without an id nobody may repeat it, and the feed tells it by its owner alone.
  const requestId = random.below(10) === 0 ? undefined : randomUuid(random);
  const known = revisionOf(key);
  const ifRevision = known !== undefined && random.below(8) === 0 ? known : undefined;
  const request = {
    project,
    object: objectOf(key, tag),
    ...(requestId === undefined ? {} : { requestId }),
    ...(ifRevision === undefined ? {} : { ifRevision: BigInt(ifRevision) }),
  };
  return {
    ...{ op: 'record', keys: [key], tag, requestId, ifRevision },
    send: async (caller, options) => {
      const { message } = await caller.unary(recordObject, request, options);
      const isChanged = message.outcome !== RecordOutcome.UNCHANGED;
      return answer(message, [{ key, revision: revision(message.object), isChanged }]);
    },
  };
}

function planUpdate({ random, project, keys, tag }: PlanInput): WritePlan {
  const key = random.pick(keys);
  const requestId = randomUuid(random);
  const object = { objectKey: key, owner: tag };
  const request = { project, requestId, object, updateMask: { paths: ['owner'] } };
  return {
    ...{ op: 'update', keys: [key], tag, requestId, ifRevision: undefined },
    send: async (caller, options) => {
      const { message } = await caller.unary(updateObject, request, options);
      return answer(message, [{ key, revision: revision(message.object), isChanged: true }]);
    },
  };
}

function planDelete({ random, project, keys, tag }: PlanInput): WritePlan {
  const key = random.pick(keys);
  const requestId = randomUuid(random);
  return {
    ...{ op: 'delete', keys: [key], tag, requestId, ifRevision: undefined },
    send: async (caller, options) => {
      const request = { project, requestId, objectKey: key };
      const { message } = await caller.unary(deleteObject, request, options);
      return answer(message, [{ key, revision: revision(message.object), isChanged: true }]);
    },
  };
}

function planBatch({ random, project, keys, tag }: PlanInput): WritePlan {
  const count = 2 + random.below(BATCH_KEYS_MAX - 1);
  const chosen = [...new Set(Array.from({ length: count }, () => random.pick(keys)))];
  const requestId = randomUuid(random);
  const requests = chosen.map((key) => ({ object: objectOf(key, tag) }));
  return {
    ...{ op: 'batch', keys: chosen, tag, requestId, ifRevision: undefined },
    send: async (caller, options) => {
      const request = { project, requestId, requests };
      const { message } = await caller.unary(batchRecordObjects, request, options);
      const results = message.results.map((result, at) => ({
        key: chosen[at] ?? '',
        revision: Number(result.revision),
        isChanged: result.outcome !== RecordOutcome.UNCHANGED,
      }));
      return answer(message, results);
    },
  };
}

function planProject({ random, project, tag }: PlanInput): WritePlan {
  const requestId = randomUuid(random);
  const request = { requestId, project: { project, name: tag }, updateMask: { paths: ['name'] } };
  return {
    ...{ op: 'project', keys: [''], tag, requestId, ifRevision: undefined },
    send: async (caller, options) => {
      const { updateProject } = ProjectService.method;
      const { message } = await caller.unary(updateProject, request, options);
      return answer(message, [{ key: '', revision: revision(message.project), isChanged: true }]);
    },
  };
}

/** The write that makes a round's project. */
export function planCreateProject(random: Random, project: string): WritePlan {
  const requestId = randomUuid(random);
  const tag = `made ${project}`;
  return {
    ...{ op: 'create project', keys: [''], tag, requestId, ifRevision: undefined },
    send: async (caller, options) => {
      const request = { requestId, project: { project, name: tag } };
      const { createProject } = ProjectService.method;
      const { message } = await caller.unary(createProject, request, options);
      return answer(message, [{ key: '', revision: revision(message.project), isChanged: true }]);
    },
  };
}

function answer({ token }: { readonly token: string }, results: readonly Result[]): Acknowledged {
  return { results, token };
}

function revision(resource: { readonly revision: bigint } | undefined): number {
  return Number(resource?.revision ?? 0n);
}
