/** Statements over projects; `PROJECT` is the columns that each gives, in the message's order. */

import type { JsonObject } from '@bufbuild/protobuf';
import type { TimestampValue } from '../lib/timestamp.js';
import { statement } from '../postgres/statement.js';
import { type CutRow, cutPage } from './page-cut.sql.js';

/** A row of `projects`. */
export interface ProjectRow {
  readonly project_id: string;
  readonly name: string;
  readonly language: string;
  readonly status: string;
  readonly progress: number;
  readonly metadata: JsonObject;
  readonly created_at: TimestampValue;
  readonly updated_at: TimestampValue;
  readonly deleted_at: TimestampValue | null;
  readonly revision: bigint;
}

const PROJECT = `project_id, name, language, status, progress, metadata, created_at, updated_at,
    deleted_at, revision`;

/** Makes a project; no row when the id is taken. */
export const createProject = statement<ProjectRow>({
  name: 'create-project',
  intent: 'write',
  text: `
    insert into projects (project_id, name, language, status, progress, metadata)
    values ($1, $2, $3, $4, $5, $6::jsonb)
    on conflict do nothing
    returning ${PROJECT}`,
});

/** One project, deleted or not. */
export const getProject = statement<ProjectRow>({
  name: 'get-project',
  intent: 'read',
  text: `
    select ${PROJECT}
    from projects
    where project_id = $1`,
});

/** Projects behind $1, at most $2, cut at 1 MiB; deleted ones only if $3. */
export const listProjects = statement<ProjectRow & CutRow>({
  name: 'list-projects',
  intent: 'read',
  text: `
    with page as materialized (
      select ${PROJECT}
      from projects
      where project_id > $1 and (deleted_at is null or $3::boolean)
      order by project_id
      limit $2
    )${cutPage(PROJECT, 'project_id', ['name'])}`,
});

/** One project to change, locked. */
export const lockProject = statement<ProjectRow>({
  name: 'lock-project',
  intent: 'write',
  text: `
    select ${PROJECT}
    from projects
    where project_id = $1
    for update`,
});

/** Changes a locked project. */
export const updateProject = statement<ProjectRow>({
  name: 'update-project',
  intent: 'write',
  text: `
    update projects
    set name = $2, status = $3, progress = $4, metadata = $5::jsonb, updated_at = now(),
      revision = revision + 1, xid = pg_current_xact_id()
    where project_id = $1
    returning ${PROJECT}`,
});

/** Deletes a locked project softly. */
export const deleteProject = statement<ProjectRow>({
  name: 'delete-project',
  intent: 'write',
  text: `
    update projects
    set deleted_at = now(), updated_at = now(), revision = revision + 1, xid = pg_current_xact_id()
    where project_id = $1
    returning ${PROJECT}`,
});
