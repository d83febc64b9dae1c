/** Projects: made, read, changed and deleted softly. */

import { create } from '@bufbuild/protobuf';
import { type Project, ProjectSchema } from '../../gen/stowage/v1/project_pb.js';
import {
  CreateProjectResponseSchema,
  DeleteProjectResponseSchema,
  type ListProjectsResponse,
  ListProjectsResponseSchema,
  UpdateProjectResponseSchema,
} from '../../gen/stowage/v1/project_service_pb.js';
import { invalidField, StowageError } from '../errors.js';
import { canonicalJson, type JsonMap } from '../lib/canonical-json.js';
import type { Call } from '../postgres/call.js';
import type { Transaction } from '../postgres/router-api.js';
import { type Change, type CommitResult, commit, projectNotFound } from './commit.js';
import { digestOf } from './digest.js';
import { timestampMessage } from './messages.js';
import { openPageToken, sealPageToken } from './page-token.js';
import {
  createProject,
  deleteProject,
  getProject,
  listProjects,
  lockProject,
  type ProjectRow,
  updateProject,
} from './projects.sql.js';
import type { Store } from './store.js';

const PAGE_SIZE_DEFAULT = 100;

/** The project that is there from the first migration and stays. */
const DEFAULT_PROJECT = 'default';

/** The fields that an update may name. */
const UPDATABLE = ['name', 'status', 'progress', 'metadata'] as const;

function toProject(row: ProjectRow): Project {
  return create(ProjectSchema, {
    project: row.project_id,
    name: row.name,
    language: row.language,
    status: row.status,
    progress: row.progress,
    metadata: row.metadata,
    createdAt: timestampMessage(row.created_at),
    updatedAt: timestampMessage(row.updated_at),
    ...(row.deleted_at === null ? {} : { deletedAt: timestampMessage(row.deleted_at) }),
    revision: row.revision,
  });
}

const changeOf = (
  kind: Change['kind'],
  row: ProjectRow,
  changedFields: readonly string[] = [],
): Change[] => [
  { kind, objectKey: '', revision: row.revision, versionId: '', owner: '', changedFields },
];

/**
 * Makes a project; `call.project` is its id.
 * @throws StowageError ALREADY_EXISTS, and those of `commit`.
 */
export function makeProject(
  store: Store,
  call: Call,
  project: Project,
  requestId: string,
): Promise<CommitResult<typeof CreateProjectResponseSchema>> {
  const { name, language, status, progress } = project;
  const metadata = canonicalJson((project.metadata ?? {}) as JsonMap);
  return commit(store, call, {
    action: 'CREATE_PROJECT',
    requestId,
    digest: () => digestOf(project.project, name, language, status, progress, metadata),
    projectMustExist: false,
    responseSchema: CreateProjectResponseSchema,
    write: async (transaction) => {
      const [row] = await transaction.run(createProject, [
        project.project,
        name,
        language || 'en',
        status || 'active',
        progress,
        metadata,
      ]);
      if (row === undefined) {
        throw new StowageError('ALREADY_EXISTS', { metadata: { project: project.project } });
      }
      const response = create(CreateProjectResponseSchema, { project: toProject(row) });
      return { response, changes: changeOf('project.created', row) };
    },
  });
}

/**
 * Reads a project, deleted or not; `call.project` is its id.
 * @throws StowageError PROJECT_NOT_FOUND.
 */
export async function readProject(store: Store, call: Call): Promise<Project> {
  const [row] = await store.router.run(getProject, [call.project], call);
  if (row === undefined) throw projectNotFound(call.project);
  return toProject(row);
}

/**
 * Lists a page of projects in the order of their ids.
 * @throws StowageError PAGE_TOKEN_INVALID.
 */
export async function readProjects(
  store: Store,
  call: Call,
  page: { pageSize: number; pageToken: string; showDeleted: boolean },
): Promise<ListProjectsResponse> {
  const args = [String(page.showDeleted)];
  const after = await openPageToken(store.sealer, call, args, page.pageToken);
  const rowsMax = page.pageSize || PAGE_SIZE_DEFAULT;
  const rows = await store.router.run(listProjects, [after, rowsMax + 1, page.showDeleted], call);
  const projects = rows.slice(0, rowsMax).map(toProject);
  const last = projects.at(-1)?.project ?? '';
  const more = projects.length < Number(rows[0]?.page_rows ?? 0n);
  return create(ListProjectsResponseSchema, {
    projects,
    nextPageToken: more ? await sealPageToken(store.sealer, call, args, last) : '',
  });
}

/** What to change of a project. */
export interface ProjectUpdate {
  readonly project: Project;
  /** Field names of the mask. */
  readonly paths: readonly string[];
  readonly ifRevision: bigint | undefined;
  readonly requestId: string;
}

/**
 * Changes what the mask names; `call.project` is the project's id.
 * @throws StowageError INVALID_REQUEST, PROJECT_NOT_FOUND, REVISION_MISMATCH, those of `commit`.
 */
export function changeProject(
  store: Store,
  call: Call,
  update: ProjectUpdate,
): Promise<CommitResult<typeof UpdateProjectResponseSchema>> {
  const paths = checkedPaths(update.paths);
  const { project, ifRevision } = update;
  const metadata = canonicalJson((project.metadata ?? {}) as JsonMap);
  return commit(store, call, {
    action: 'UPDATE_PROJECT',
    requestId: update.requestId,
    digest: () =>
      digestOf(
        [project.project, project.name, project.status, project.progress, metadata],
        [...paths].sort(),
        ifRevision?.toString() ?? null,
      ),
    projectMustExist: true,
    responseSchema: UpdateProjectResponseSchema,
    write: async (transaction) => {
      const locked = await lock(transaction, call.project, ifRevision);
      const [row] = await transaction.run(updateProject, [
        call.project,
        paths.has('name') ? project.name : locked.name,
        paths.has('status') ? project.status || 'active' : locked.status,
        paths.has('progress') ? project.progress : locked.progress,
        paths.has('metadata') ? metadata : canonicalJson(locked.metadata as JsonMap),
      ]);
      if (row === undefined) throw projectNotFound(call.project);
      const response = create(UpdateProjectResponseSchema, { project: toProject(row) });
      return { response, changes: changeOf('project.updated', row, [...paths]) };
    },
  });
}

/**
 * Deletes a project softly; `call.project` is its id.
 * @throws StowageError INVALID_REQUEST for `default`, PROJECT_NOT_FOUND, REVISION_MISMATCH.
 */
export function removeProject(
  store: Store,
  call: Call,
  { ifRevision, requestId }: { ifRevision: bigint | undefined; requestId: string },
): Promise<CommitResult<typeof DeleteProjectResponseSchema>> {
  if (call.project === DEFAULT_PROJECT) {
    throw invalidField('project', 'the project "default" cannot be deleted');
  }
  return commit(store, call, {
    action: 'DELETE_PROJECT',
    requestId,
    digest: () => digestOf(call.project, ifRevision?.toString() ?? null),
    // A repeat of the same request finds the project deleted: only the lock decides.
    projectMustExist: false,
    responseSchema: DeleteProjectResponseSchema,
    write: async (transaction) => {
      await lock(transaction, call.project, ifRevision);
      const [row] = await transaction.run(deleteProject, [call.project]);
      if (row === undefined) throw projectNotFound(call.project);
      const response = create(DeleteProjectResponseSchema, { project: toProject(row) });
      return { response, changes: changeOf('project.deleted', row) };
    },
  });
}

async function lock(
  transaction: Transaction,
  project: string,
  ifRevision: bigint | undefined,
): Promise<ProjectRow> {
  const [locked] = await transaction.run(lockProject, [project]);
  if (locked === undefined || locked.deleted_at !== null) throw projectNotFound(project);
  if (ifRevision !== undefined && ifRevision !== locked.revision) {
    const metadata = { project, revision: String(locked.revision) };
    throw new StowageError('REVISION_MISMATCH', { metadata });
  }
  return locked;
}

function checkedPaths(paths: readonly string[]): ReadonlySet<string> {
  const unknown = paths.find((path) => !UPDATABLE.some((name) => name === path));
  if (unknown !== undefined) {
    throw invalidField('update_mask', `"${unknown}" is not one of ${UPDATABLE.join(', ')}`);
  }
  if (paths.length === 0) {
    throw invalidField('update_mask', `name at least one of ${UPDATABLE.join(', ')}`);
  }
  return new Set(paths);
}
