/** Projects as a person reads them: many as a table, one as a record. */

import type { Project } from '../../gen/stowage/v1/project_pb.js';
import { exactTime } from './cells.js';
import { jsonText } from './output.js';
import { type Column, renderRecord, renderTable } from './table.js';

const columns: readonly Column<Project>[] = [
  { title: 'PROJECT', cell: ({ project }) => project },
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'LANGUAGE', cell: ({ language }) => language },
  {
    title: 'STATUS',
    cell: ({ deletedAt, status }) => (deletedAt === undefined ? status : 'deleted'),
  },
  { title: 'PROGRESS', cell: ({ progress }) => `${progress} %`, align: 'right' },
  { title: 'UPDATED', cell: ({ updatedAt }) => exactTime(updatedAt) },
];

/** One line a project below the titles, in columns. */
export function projectTable(projects: readonly Project[]): string {
  return renderTable(columns, projects);
}

/** One line a field. */
export function projectRecord(project: Project): string {
  return renderRecord([
    ['project', project.project],
    ['name', project.name],
    ['language', project.language],
    ['status', project.status],
    ['progress', `${project.progress} %`],
    ['metadata', [jsonText(project.metadata ?? {})]],
    ['created', exactTime(project.createdAt)],
    ['updated', exactTime(project.updatedAt)],
    ['deleted', exactTime(project.deletedAt)],
    ['revision', String(project.revision)],
  ]);
}
