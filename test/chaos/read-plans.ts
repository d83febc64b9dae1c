/** The unary reads of the workload, and the pages of lists. */

import { ProjectService } from '../../gen/stowage/v1/project_service_pb.js';
import type { StorageObject } from '../../gen/stowage/v1/storage_object_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import type { Random } from '../support/random.js';
import type { Caller, CallOptions } from './caller.js';
import type { ChosenDemand } from './demands.js';
import type { Seen } from './history.js';

/** What an attempt was answered. */
export interface Shown {
  readonly seen: readonly Seen[];
  /** The keys that it says something of. */
  readonly covers: readonly string[];
  readonly token: string;
  readonly servedBy: string;
  /** How a list goes on; empty: it does not. */
  readonly nextPage: string;
}

/** One read; of a list, one page. */
export interface ReadPlan {
  readonly op: string;
  readonly showsDeleted: boolean;
  /** Sends it once. @throws {CallError} */
  send(caller: Caller, options: CallOptions, pageToken: string): Promise<Shown>;
}

/** What plans are made of. */
export interface ReadPlanInput {
  readonly random: Random;
  readonly project: string;
  /** In byte order. */
  readonly keys: readonly string[];
  readonly demand: ChosenDemand;
}

/** Plans a random read. */
export function planRead(input: ReadPlanInput): ReadPlan {
  const dice = input.random.below(100);
  if (dice < 60) return planGet(input);
  if (dice < 80) return planBatchGet(input);
  if (dice < 93) return planList(input);
  return planProjectRead(input);
}

/** An object as the checker sees it. */
export function seenOf({ objectKey, revision, owner, deletedAt }: StorageObject): Seen {
  return {
    key: objectKey,
    revision: Number(revision),
    tag: owner,
    isLive: deletedAt === undefined,
  };
}

function planGet({ random, project, keys, demand }: ReadPlanInput): ReadPlan {
  const key = random.pick(keys);
  const showsDeleted = random.below(2) === 0;
  const request = { project, objectKey: key, showDeleted: showsDeleted, ...demand.request };
  return {
    op: 'get',
    showsDeleted,
    send: async (caller, options) => {
      const answer = await caller.unary(StorageService.method.getObject, request, options);
      const { object } = answer.message;
      return { ...answer, seen: object ? [seenOf(object)] : [], covers: [key], nextPage: '' };
    },
  };
}

function planBatchGet(input: ReadPlanInput): ReadPlan {
  const { random, keys } = input;
  const count = 2 + random.below(20);
  return planReadOf([...new Set(Array.from({ length: count }, () => random.pick(keys)))], input);
}

/** Plans a read of these keys, of one state of the database. */
export function planReadOf(
  objectKeys: readonly string[],
  { project, demand }: Pick<ReadPlanInput, 'project' | 'demand'>,
): ReadPlan {
  const request = {
    ...{ project, objectKeys: [...objectKeys], showDeleted: true },
    ...demand.request,
  };
  return {
    op: 'batchGet',
    showsDeleted: true,
    send: async (caller, options) => {
      const answer = await caller.unary(StorageService.method.batchGetObjects, request, options);
      const seen = answer.message.objects.map(seenOf);
      return { ...answer, seen, covers: objectKeys, nextPage: '' };
    },
  };
}

function planList({ random, project, keys, demand }: ReadPlanInput): ReadPlan {
  const showsDeleted = random.below(2) === 0;
  const pageSize = 30 + random.below(70);
  const request = { project, pageSize, showDeleted: showsDeleted, ...demand.request };
  let after = '';
  return {
    op: 'list',
    showsDeleted,
    send: async (caller, options, pageToken) => {
      const page = { ...request, pageToken };
      const answer = await caller.unary(StorageService.method.listObjects, page, options);
      const { objects, nextPageToken: nextPage } = answer.message;
      const last = nextPage === '' ? undefined : objects.at(-1)?.objectKey;
      const covers = keys.filter((key) => key > after && (last === undefined || key <= last));
      if (last !== undefined) after = last;
      return { ...answer, seen: objects.map(seenOf), covers, nextPage };
    },
  };
}

function planProjectRead({ project, demand }: ReadPlanInput): ReadPlan {
  const request = { project, ...demand.request };
  return {
    op: 'getProject',
    showsDeleted: true,
    send: async (caller, options) => {
      const answer = await caller.unary(ProjectService.method.getProject, request, options);
      const { name = '', revision = 0n } = answer.message.project ?? {};
      const seen = [{ key: '', revision: Number(revision), tag: name, isLive: true }];
      return { ...answer, seen, covers: [''], nextPage: '' };
    },
  };
}
