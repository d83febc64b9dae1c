/**
 * Statements that give objects by their keys, and what all statements have in common that give
 * whole objects: each names its columns, `OBJECT`, in the order of the message's fields.
 */

import type { JsonObject } from '@bufbuild/protobuf';
import type { TimestampValue } from '../lib/timestamp.js';
import { statement } from '../postgres/statement.js';
import { type CutRow, cutPage } from './page-cut.sql.js';

/** A row of `storage_objects`. */
export interface ObjectRow {
  readonly object_key: string;
  readonly id: string;
  readonly size: bigint;
  readonly content_type: string;
  readonly etag: string;
  readonly last_modified: TimestampValue;
  readonly version_id: string;
  readonly storage_backend: string;
  readonly storage_class: string;
  readonly metadata: JsonObject;
  readonly owner: string;
  readonly created_at: TimestampValue;
  readonly deleted_at: TimestampValue | null;
  readonly purge_at: TimestampValue | null;
  readonly revision: bigint;
}

/** The columns of an object. */
export const OBJECT = `object_key, id, size, content_type, etag, last_modified, version_id,
    storage_backend, storage_class, metadata, owner, created_at, deleted_at, purge_at, revision`;

/** The texts among them that a caller may fill. */
export const OBJECT_TEXTS = ['object_key', 'version_id', 'etag', 'content_type', 'owner'] as const;

const CUT = cutPage(OBJECT, 'object_key', OBJECT_TEXTS);

/**
 * Nothing is found in a project that is deleted. A condition of the read itself, which the planner
 * asks once, because a statement of its own would be a second round trip.
 */
export const IN_PROJECT = `
        and exists (select from projects where project_id = $1 and deleted_at is null)`;

/** One object, deleted or not. */
export const getObject = statement<ObjectRow>({
  name: 'get-object',
  intent: 'read',
  text: `
    select ${OBJECT}
    from storage_objects
    where project_id = $1 and object_key = $2${IN_PROJECT}`,
});

/** Is the project there? Asked only when a read found nothing. */
export const findProject = statement<{ found: boolean }>({
  name: 'find-project',
  intent: 'read',
  text: `
    select exists (
      select from projects where project_id = $1 and deleted_at is null
    ) as found`,
});

/** Some objects of one state, deleted or not, cut at 1 MiB. */
export const batchGetObjects = statement<ObjectRow & CutRow>({
  name: 'batch-get-objects',
  intent: 'read',
  text: `
    with page as materialized (
      select ${OBJECT}
      from storage_objects
      where project_id = $1 and object_key = any($2::text[])${IN_PROJECT}
    )${CUT}`,
});
