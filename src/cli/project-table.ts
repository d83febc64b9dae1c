/** Projects as a person reads them: many as a table, one as a record. */

import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { Project } from '../../gen/stowage/v1/project_pb.js';
import { escapeText } from './scan/names.js';

function timeOf(time: Project['createdAt']): string {
  return time === undefined ? '' : timestampDate(time).toISOString();
}

const columns: readonly (readonly [title: string, cell: (project: Project) => string])[] = [
  ['PROJECT', ({ project }) => project],
  ['NAME', ({ name }) => escapeText(name)],
  ['LANGUAGE', ({ language }) => language],
  [
    'STATUS',
    (project) => (project.deletedAt === undefined ? escapeText(project.status) : 'deleted'),
  ],
  ['PROGRESS', ({ progress }) => `${progress} %`],
  ['UPDATED', ({ updatedAt }) => timeOf(updatedAt)],
];

/** One line a project below the titles, in columns. */
export function projectTable(projects: readonly Project[]): string {
  const rows = [
    columns.map(([title]) => title),
    ...projects.map((project) => columns.map(([, cell]) => cell(project))),
  ];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)));
  return lines.map((cells) => cells.join('  ').trimEnd()).join('\n');
}

/** One line a field. */
export function projectRecord(project: Project): string {
  const fields: readonly (readonly [string, string])[] = [
    ['project', project.project],
    ['name', escapeText(project.name)],
    ['language', project.language],
    ['status', escapeText(project.status)],
    ['progress', `${project.progress} %`],
    ['metadata', escapeText(JSON.stringify(project.metadata ?? {}))],
    ['created', timeOf(project.createdAt)],
    ['updated', timeOf(project.updatedAt)],
    ['deleted', timeOf(project.deletedAt)],
    ['revision', String(project.revision)],
  ];
  const shown = fields.filter(([, value]) => value !== '');
  return shown.map(([name, value]) => `${name.padEnd(10)}${value}`).join('\n');
}
