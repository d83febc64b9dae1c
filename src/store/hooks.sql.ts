/**
 * Statements over hooks. None gives a secret: the service may write those and see that there is
 * one, and no more.
 */

import type { JsonObject } from '@bufbuild/protobuf';
import type { TimestampValue } from '../lib/timestamp.js';
import { statement } from '../postgres/statement.js';
import { IN_PROJECT } from './object-reads.sql.js';
import { type CutRow, cutPage } from './page-cut.sql.js';

/** A row of `hooks`, and whether it has one of `hook_secrets`. */
export interface HookRow {
  readonly hook_name: string;
  readonly event_types: readonly string[];
  readonly key_prefix: string;
  /** Null: it lets everything through. */
  readonly metadata_filter: JsonObject | null;
  readonly target: string;
  readonly has_secret: boolean;
  readonly disabled: boolean;
  readonly description: string;
  readonly created_at: TimestampValue;
  readonly updated_at: TimestampValue;
  readonly revision: bigint;
}

const COLUMNS = `hook_name, event_types, key_prefix, metadata_filter, target, disabled,
    description, created_at, updated_at, revision`;

const HAS_SECRET = `exists (
      select from hook_secrets as kept
      where kept.project_id = hooks.project_id and kept.hook_name = hooks.hook_name
    ) as has_secret`;

/** What follows project and name in the parameters of what writes a hook. */
const VALUES = '$3::text[], $4, $5::jsonb, $6, $7::boolean, $8';

/** Makes a hook, without its secret; no row when the name is taken. */
export const createHook = statement<Omit<HookRow, 'has_secret'>>({
  name: 'create-hook',
  intent: 'write',
  text: `
    insert into hooks (project_id, hook_name, event_types, key_prefix, metadata_filter, target,
                       disabled, description)
    values ($1, $2, ${VALUES})
    on conflict do nothing
    returning ${COLUMNS}`,
});

/**
 * Encrypts nothing: the secret comes encrypted, $4, by the key $3. The values are parameters and
 * not `excluded`, which who may not read the table may not read either.
 */
export const putHookSecret = statement<Record<string, never>>({
  name: 'put-hook-secret',
  intent: 'write',
  text: `
    insert into hook_secrets (project_id, hook_name, key_id, secret)
    values ($1, $2, $3, $4::bytea)
    on conflict (project_id, hook_name)
      do update set key_id = $3, secret = $4::bytea, updated_at = now()`,
});

/** Takes a hook's secret away. */
export const deleteHookSecret = statement<Record<string, never>>({
  name: 'delete-hook-secret',
  intent: 'write',
  text: `
    delete from hook_secrets
    where project_id = $1 and hook_name = $2`,
});

/** One hook. */
export const getHook = statement<HookRow>({
  name: 'get-hook',
  intent: 'read',
  text: `
    select ${COLUMNS}, ${HAS_SECRET}
    from hooks
    where project_id = $1 and hook_name = $2${IN_PROJECT}`,
});

/** Hooks behind $2, at most $3, cut at 1 MiB. */
export const listHooks = statement<HookRow & CutRow>({
  name: 'list-hooks',
  intent: 'read',
  text: `
    with page as materialized (
      select ${COLUMNS}, ${HAS_SECRET}
      from hooks
      where project_id = $1 and hook_name > $2${IN_PROJECT}
      order by hook_name
      limit $3
    )${cutPage(
      `${COLUMNS}, has_secret`,
      'hook_name',
      ['hook_name', 'event_types::text', 'key_prefix', 'target', 'description'],
      ['metadata_filter'],
    )}`,
});

/**
 * Locks a hook that is to be changed. What it is stands in a statement behind this one: a lock may
 * have to be waited for, and its statement sees whether there is a secret as it was before.
 */
export const lockHook = statement<{ revision: bigint }>({
  name: 'lock-hook',
  intent: 'write',
  text: `
    select revision
    from hooks
    where project_id = $1 and hook_name = $2
    for update`,
});

/** Changes a locked hook. */
export const updateHook = statement<HookRow>({
  name: 'update-hook',
  intent: 'write',
  text: `
    update hooks
    set (event_types, key_prefix, metadata_filter, target, disabled, description)
        = row (${VALUES}),
      updated_at = now(), revision = revision + 1, xid = pg_current_xact_id()
    where project_id = $1 and hook_name = $2
    returning ${COLUMNS}, ${HAS_SECRET}`,
});

/** Deletes a locked hook; its secret goes with it. */
export const deleteHook = statement<Record<string, never>>({
  name: 'delete-hook',
  intent: 'write',
  text: `
    delete from hooks
    where project_id = $1 and hook_name = $2`,
});
