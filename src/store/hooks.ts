/** Hooks: registered, read, changed and deleted. Their secrets go in and never come out. */

import { create } from '@bufbuild/protobuf';
import {
  CreateHookResponseSchema,
  DeleteHookResponseSchema,
  type ListHooksResponse,
  ListHooksResponseSchema,
  UpdateHookResponseSchema,
} from '../../gen/stowage/v1/hook_manage_pb.js';
import { type Hook, HookSchema } from '../../gen/stowage/v1/hook_pb.js';
import { StowageError } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type CommitResult, commit } from './commit.js';
import { digestOf } from './digest.js';
import { type HookValues, hookValues, maskedValues, readHookMask } from './hook-input.js';
import { type NewSecret, newSecret, sealSecret, secretMark } from './hook-secret.js';
import type { HookRow } from './hooks.sql.js';
import * as statements from './hooks.sql.js';
import { timestampMessage } from './messages.js';
import { requireProject } from './objects.js';
import { openPageToken, sealPageToken } from './page-token.js';
import type { Store } from './store.js';

const PAGE_SIZE_DEFAULT = 100;

function toHook(row: HookRow): Hook {
  return create(HookSchema, {
    hookName: row.hook_name,
    eventTypes: [...row.event_types],
    keyPrefix: row.key_prefix,
    ...(row.metadata_filter === null ? {} : { metadataFilter: row.metadata_filter }),
    target: row.target,
    hasSecret: row.has_secret,
    disabled: row.disabled,
    description: row.description,
    createdAt: timestampMessage(row.created_at),
    updatedAt: timestampMessage(row.updated_at),
    revision: row.revision,
  });
}

/** The values in the order of the statements' parameters. */
const paramsOf = (values: HookValues): unknown[] => [
  values.event_types,
  values.key_prefix,
  values.metadata_filter,
  values.target,
  values.disabled,
  values.description,
];

/** Hooks are no part of the change feed: the audit trail alone tells of them. */
const traced = (hookName: string) => ({ changes: [], operation: { hook_name: hookName } });

/**
 * Registers a hook.
 * @throws StowageError INVALID_REQUEST, SECRET_KEY_MISSING, ALREADY_EXISTS, and those of `commit`.
 */
export async function makeHook(
  store: Store,
  call: Call,
  hook: Hook,
  requestId: string,
): Promise<CommitResult<typeof CreateHookResponseSchema>> {
  const { hookName } = hook;
  const values = hookValues(hook);
  const secret = newSecret(hook.secret, store.keeping.secretsKey);
  return commit(store, call, {
    action: 'CREATE_HOOK',
    requestId,
    digest: () => digestOf(hookName, { ...values }, secretMark(secret)),
    projectMustExist: true,
    responseSchema: CreateHookResponseSchema,
    write: async (transaction) => {
      const params = [call.project, hookName, ...paramsOf(values)];
      const [row] = await transaction.run(statements.createHook, params);
      if (row === undefined) {
        throw new StowageError('ALREADY_EXISTS', { metadata: factsOf(call, hookName) });
      }
      if (secret !== undefined) await putSecret(transaction, call, hookName, secret);
      const made = toHook({ ...row, has_secret: secret !== undefined });
      return {
        response: create(CreateHookResponseSchema, { hook: made }),
        ...traced(hookName),
      };
    },
  });
}

/**
 * Reads a hook.
 * @throws StowageError PROJECT_NOT_FOUND, HOOK_NOT_FOUND.
 */
export async function readHook(store: Store, call: Call, hookName: string): Promise<Hook> {
  const [row] = await store.router.run(statements.getHook, [call.project, hookName], call);
  if (row !== undefined) return toHook(row);
  await requireProject(store, call);
  throw hookNotFound(call, hookName);
}

/**
 * Lists a page of hooks in the order of their names.
 * @throws StowageError PAGE_TOKEN_INVALID, PROJECT_NOT_FOUND.
 */
export async function readHooks(
  store: Store,
  call: Call,
  page: { pageSize: number; pageToken: string },
): Promise<ListHooksResponse> {
  const after = await openPageToken(store.sealer, call, [], page.pageToken);
  const rowsMax = page.pageSize || PAGE_SIZE_DEFAULT;
  const params = [call.project, after, rowsMax + 1];
  const rows = await store.router.run(statements.listHooks, params, call);
  if (rows.length === 0) await requireProject(store, call);
  const hooks = rows.slice(0, rowsMax).map(toHook);
  const last = hooks.at(-1)?.hookName ?? '';
  const more = hooks.length < Number(rows[0]?.page_rows ?? 0n);
  return create(ListHooksResponseSchema, {
    hooks,
    nextPageToken: more ? await sealPageToken(store.sealer, call, [], last) : '',
  });
}

/** What to change of a hook. */
export interface HookUpdate {
  readonly hook: Hook;
  /** Field names of the mask. */
  readonly paths: readonly string[];
  readonly ifRevision?: bigint | undefined;
  readonly requestId: string;
}

/**
 * Changes what the mask names. A secret that is set is a change, for nobody can tell whether it is
 * the one that was there.
 * @throws StowageError INVALID_REQUEST, SECRET_KEY_MISSING, HOOK_NOT_FOUND, REVISION_MISMATCH, and
 *   those of `commit`.
 */
export async function changeHook(
  store: Store,
  call: Call,
  { hook, paths, ifRevision, requestId }: HookUpdate,
): Promise<CommitResult<typeof UpdateHookResponseSchema>> {
  const { hookName } = hook;
  const mask = readHookMask(paths);
  const masked = maskedValues(hook, mask);
  const setsSecret = mask.has('secret');
  const secret = setsSecret ? newSecret(hook.secret, store.keeping.secretsKey) : undefined;
  return commit(store, call, {
    action: 'UPDATE_HOOK',
    requestId,
    digest: () => {
      const revision = ifRevision?.toString() ?? null;
      return digestOf(hookName, { ...masked }, [setsSecret, secretMark(secret)], revision);
    },
    projectMustExist: true,
    responseSchema: UpdateHookResponseSchema,
    write: async (transaction) => {
      const key = [call.project, hookName];
      if (!(await lock(transaction, call, hookName, ifRevision)))
        throw hookNotFound(call, hookName);
      const [locked] = await transaction.run(statements.getHook, key);
      if (locked === undefined) throw hookNotFound(call, hookName);
      const former = valuesOf(locked);
      const values = { ...former, ...masked };
      const isSame = canonicalJson({ ...values }) === canonicalJson({ ...former });
      if (isSame && secret === undefined && !(setsSecret && locked.has_secret)) {
        const response = create(UpdateHookResponseSchema, { hook: toHook(locked) });
        return { response, changes: [] };
      }
      if (secret !== undefined) await putSecret(transaction, call, hookName, secret);
      else if (setsSecret) await transaction.run(statements.deleteHookSecret, key);
      const [row] = await transaction.run(statements.updateHook, [...key, ...paramsOf(values)]);
      if (row === undefined) throw hookNotFound(call, hookName);
      const response = create(UpdateHookResponseSchema, { hook: toHook(row) });
      return { response, ...traced(hookName) };
    },
  });
}

/** Which hook to delete, and on which conditions. */
export interface HookDeletion {
  readonly hookName: string;
  readonly ifRevision?: bigint | undefined;
  readonly allowMissing: boolean;
  readonly requestId: string;
}

/**
 * Deletes a hook and its secret; its executions stay.
 * @throws StowageError HOOK_NOT_FOUND, REVISION_MISMATCH, and those of `commit`.
 */
export function removeHook(
  store: Store,
  call: Call,
  { hookName, ifRevision, allowMissing, requestId }: HookDeletion,
): Promise<CommitResult<typeof DeleteHookResponseSchema>> {
  return commit(store, call, {
    action: 'DELETE_HOOK',
    requestId,
    digest: () => digestOf(hookName, ifRevision?.toString() ?? null, allowMissing),
    projectMustExist: true,
    responseSchema: DeleteHookResponseSchema,
    write: async (transaction) => {
      const isThere = await lock(transaction, call, hookName, ifRevision);
      if (!isThere && !allowMissing) throw hookNotFound(call, hookName);
      const response = create(DeleteHookResponseSchema, { deleted: isThere });
      if (!isThere) return { response, changes: [] };
      await transaction.run(statements.deleteHook, [call.project, hookName]);
      return { response, ...traced(hookName) };
    },
  });
}

/** Locks a hook; false where there is none. @throws StowageError REVISION_MISMATCH. */
async function lock(
  transaction: Transaction,
  call: Call,
  hookName: string,
  ifRevision: bigint | undefined,
): Promise<boolean> {
  const [locked] = await transaction.run(statements.lockHook, [call.project, hookName]);
  if (locked === undefined) return false;
  if (ifRevision !== undefined && ifRevision !== locked.revision) {
    const metadata = { ...factsOf(call, hookName), revision: String(locked.revision) };
    throw new StowageError('REVISION_MISMATCH', { metadata });
  }
  return true;
}

async function putSecret(
  transaction: Transaction,
  { project }: Call,
  hookName: string,
  secret: NewSecret,
): Promise<void> {
  const { keyId, bytes } = sealSecret(secret, { project, hookName });
  await transaction.run(statements.putHookSecret, [project, hookName, keyId, bytes]);
}

function valuesOf(row: HookRow): HookValues {
  const { event_types, key_prefix, metadata_filter, target, disabled, description } = row;
  const filter = metadata_filter === null ? null : canonicalJson(metadata_filter as JsonMap);
  return { event_types, key_prefix, metadata_filter: filter, target, disabled, description };
}

const factsOf = ({ project }: Call, hookName: string) => ({ project, hook_name: hookName });

function hookNotFound(call: Call, hookName: string): StowageError {
  return new StowageError('HOOK_NOT_FOUND', { metadata: factsOf(call, hookName) });
}
