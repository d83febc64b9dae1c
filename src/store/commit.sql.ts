/** Statements of the one way to write; see commit.ts. */

import { statement } from '../postgres/statement.js';

/**
 * First of every write: is the project there, and is the request id ours? A claim waits for another
 * transaction that claims the same id. It is made whether the project is there or not: what was
 * done before the project was deleted is answered as it was. Parameters: project, principal,
 * request id or null, method, request digest.
 */
export const openCommit = statement<{ project_found: boolean; claimed: boolean }>({
  name: 'open-commit',
  intent: 'write',
  text: `
    with project as (
      select true from projects where project_id = $1 and deleted_at is null
    ), claimed as (
      insert into request_log (project_id, principal, request_id, method, request_sha256)
      select $1, $2, $3::uuid, $4, $5::bytea
      where $3::uuid is not null
      on conflict do nothing
      returning true
    )
    select exists (select from project) as project_found,
           exists (select from claimed) as claimed`,
});

/**
 * The request that holds an id. A statement of its own: one that inserted and selected at once
 * would not see the row it lost against. The row is locked so that the transaction writes, for
 * COMMIT waits for standbys only then: the answer stands where the first commit, which may have
 * been told as not replicated, stands too.
 */
export const readRequest = statement<{
  method: string;
  request_sha256: Buffer;
  response: Buffer | null;
}>({
  name: 'read-request',
  intent: 'write',
  text: `
    select method, request_sha256, response
    from request_log
    where project_id = $1 and principal = $2 and request_id = $3::uuid
    for key share`,
});

/**
 * Last of every write: the change feed, the audit trail and the answer, in one round trip. The
 * arrays have one element a change, sorted by key, so that `seq` is drawn in key order while the
 * rows are locked. A change without an id for it has no row of the audit trail, and an operation
 * that changes no resource has that alone; $18 is false where writes are not audited.
 */
export const closeCommit = statement<Record<string, never>>({
  name: 'close-commit',
  intent: 'write',
  text: `
    with changed as (
      select * from unnest($6::text[], $7::text[], $8::int8[], $9::text[], $10::text[],
                           $11::text[], $12::uuid[])
        as c (kind, object_key, revision, version_id, owner, changed_fields, audit_id)
    ), fed as (
      insert into storage_changes (project_id, kind, object_key, revision, version_id, owner,
                                   actor, request_id, changed_fields)
      select $1, kind, object_key, revision, version_id, owner, $2, $3::uuid,
             string_to_array(changed_fields, ',')
      from changed
    ), audited as (
      insert into storage_audit (project_id, timestamp, id, user_id, username, action, object_key,
                                 version_id, ip_address, user_agent, success, correlation_id,
                                 metadata)
      select $1, now(), audit_id, $2, $2, $4, object_key, nullif(version_id, ''), $13::inet, $14,
             true, $15, metadata
      from (select audit_id, object_key, version_id, null::jsonb as metadata
            from changed where audit_id is not null
            union all
            select $17::uuid, null, null, $16::jsonb where $16::jsonb is not null) as done
      where $18::boolean
    )
    update request_log set response = $5::bytea
    where project_id = $1 and principal = $2 and request_id = $3::uuid`,
});
