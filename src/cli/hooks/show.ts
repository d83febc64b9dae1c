/** Hooks as a person reads them: all as a table, one as a record. Secrets are never told. */

import { Command } from 'commander';
import { type Hook, HookSchema, HookService } from '../../client/index.js';
import { callService, type Surroundings, strong } from '../call.js';
import { exactTime } from '../cells.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { jsonText, print, widthOf } from '../output.js';
import { jsonLines, jsonResource, pagesOf } from '../pages.js';
import { StreamedTable } from '../streamed-table.js';
import { type Column, renderRecord } from '../table.js';

const columns: readonly Column<Hook>[] = [
  { title: 'HOOK', cell: ({ hookName }) => hookName },
  { title: 'STATE', cell: ({ disabled }) => (disabled ? 'disabled' : 'enabled') },
  { title: 'EVENTS', cell: ({ eventTypes }) => eventTypes.join(', ') },
  { title: 'PREFIX', cell: ({ keyPrefix }) => keyPrefix },
  { title: 'TARGET', cell: ({ target }) => target },
];

const leastFirst = ['PREFIX', 'TARGET'];

/** One line a field. */
function hookRecord(hook: Hook): string {
  const filter = hook.metadataFilter === undefined ? '' : [jsonText(hook.metadataFilter)];
  return renderRecord([
    ['hook', hook.hookName],
    ['state', hook.disabled ? 'disabled' : 'enabled'],
    ['events', hook.eventTypes.join(', ')],
    ['prefix', hook.keyPrefix],
    ['filter', filter],
    ['target', hook.target],
    ['secret', hook.hasSecret ? 'is set' : 'none'],
    ['description', hook.description],
    ['created', exactTime(hook.createdAt)],
    ['updated', exactTime(hook.updatedAt)],
    ['revision', String(hook.revision)],
  ]);
}

/** The hook as a program reads it, or as a person does. */
export function renderHook(hook: Hook | undefined, isJson: boolean): string {
  if (hook === undefined) throw new Error('the server answered without the hook');
  return isJson ? jsonResource(HookSchema, hook) : hookRecord(hook);
}

/** Makes the sub-command. */
export function listCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('list').description('list the hooks; so does no command at all');
  return withObjectOptions(command, defaults).action(async (options: ObjectOptions) => {
    const { project, json } = options;
    const table = new StreamedTable(columns, { width: widthOf(shell.stdout), leastFirst });
    const caller = { name: 'hooks', options, defaults, shell };
    await callService(HookService, caller, async (client) => {
      let isEmpty = true;
      const pages = pagesOf<Hook>(async (page) => {
        const { hooks, nextPageToken } = await client.listHooks({ project, ...page });
        return [hooks, nextPageToken];
      });
      for await (const { rows } of pages) {
        isEmpty &&= rows.length === 0;
        await print(shell.stdout, json ? jsonLines(HookSchema, rows) : table.lines(rows));
      }
      if (isEmpty && !json) shell.stderr.write('There are no hooks.\n');
    });
  });
}

/** Makes the sub-command. */
export function getCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('get')
    .description('show a hook, without its secret')
    .argument('<name>', 'as `stowage hooks` has it', notEmpty);
  return withObjectOptions(command, defaults).action(
    async (hookName: string, options: ObjectOptions) => {
      const { project, json } = options;
      const caller = { name: 'hooks', options, defaults, shell };
      await callService(HookService, caller, async (client) => {
        const { hook } = await client.getHook({ project, hookName, freshness: strong });
        await print(shell.stdout, renderHook(hook, json));
      });
    },
  );
}
