/** `stowage mv`: gives an object another key, or all below a folder another folder. */

import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { StorageService } from '../client/index.js';
import { callService } from './call.js';
import type { ClientDefaults } from './connection.js';
import { renderObject } from './get.js';
import { type LongWork, type StorageClient, withLongWork } from './objects/long-work.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from './options.js';
import { jsonText, print, type Shell } from './output.js';
import { formatPlural } from './scan/format.js';
import { escapeText } from './scan/names.js';
import { interruptedExitCode } from './stop-signal.js';

interface Move {
  readonly source: string;
  readonly destination: string;
  readonly options: ObjectOptions;
  readonly shell: Shell;
  /** Objects moved so far. */
  count: number;
}

async function moveObject(client: StorageClient, move: Move): Promise<void> {
  const { source, destination, options, shell } = move;
  const { object } = await client.moveObject({
    project: options.project,
    requestId: randomUUID(),
    sourceKey: source,
    destinationKey: destination,
  });
  const sentence = `${escapeText(source)} is now ${escapeText(destination)}\n`;
  await print(shell.stdout, options.json ? renderObject(object, true) : sentence);
}

/** Moves until nothing is left, which is answered, or somebody stops it. */
async function moveAll(client: StorageClient, move: Move, work: LongWork): Promise<boolean> {
  let resumeToken = '';
  do {
    const request = {
      project: move.options.project,
      requestId: randomUUID(),
      sourcePrefix: move.source,
      destinationPrefix: move.destination,
      resumeToken,
    };
    const answer = await work.call((options) => client.movePrefix(request, options));
    move.count += Number(answer.moved);
    work.counter.show(move.count);
    resumeToken = answer.resumeToken;
  } while (resumeToken !== '' && !work.isStopped);
  return resumeToken === '';
}

/** What to do about a move that ended half-way. */
function goOn({ source }: Move): string {
  return `The rest is still under ${escapeText(source)}: the same command goes on there.`;
}

/** What a failure leaves. */
function explain(move: Move): readonly string[] {
  if (move.count === 0) return [];
  const moved = formatPlural(move.count, 'object was', 'objects were');
  return [`${moved} moved before that.`, goOn(move)];
}

/** What became of a folder, for programs. */
function jsonOf({ count }: Move, isInterrupted: boolean): string {
  return `${jsonText({ moved: count, interrupted: isInterrupted })}\n`;
}

async function movePrefix(client: StorageClient, move: Move): Promise<void> {
  const { source, destination, options, shell } = move;
  const names = { command: 'mv', done: 'moved', server: options.server, shell };
  const isWhole = await withLongWork(names, (work) => moveAll(client, move, work)).catch(
    async (error: unknown) => {
      const isInterrupted = shell.exitCode === interruptedExitCode;
      if (options.json) await print(shell.stdout, jsonOf(move, isInterrupted));
      throw error;
    },
  );
  const moved = formatPlural(move.count, 'object', 'objects');
  const sentence = `${moved} moved from ${escapeText(source)} to ${escapeText(destination)}\n`;
  await print(shell.stdout, options.json ? jsonOf(move, !isWhole) : sentence);
  if (isWhole) return;
  shell.stderr.write(`${goOn(move)}\n`);
  shell.exitCode = interruptedExitCode;
}

/** The command; `defaults` come from the environment. */
export function mvCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const command = new Command('mv')
    .description('move an object, or a folder with all below it')
    .argument('<source>', 'a key; or a folder, which ends with /', notEmpty)
    .argument('<destination>', 'the same kind as the source', notEmpty)
    .addHelpText(
      'after',
      '\nNothing is overwritten: a key that is there ends the move. A folder of more' +
        '\nthan 1000 objects moves in several commits; the same command goes on where' +
        '\none stopped.' +
        '\nExit codes: 0 moved, 1 failed, 2 usage, 130 interrupted.',
    );
  return withObjectOptions(command, defaults).action(
    async (source: string, destination: string, options: ObjectOptions) => {
      const isFolder = source.endsWith('/');
      if (isFolder !== destination.endsWith('/')) {
        const rule = 'both end with / (a folder) or neither does (an object): name the key in full';
        command.error(`error: ${rule}`);
      }
      const move: Move = { source, destination, options, shell, count: 0 };
      const caller = { name: 'mv', options, defaults, shell, explain: () => explain(move) };
      await callService(StorageService, caller, (client) =>
        isFolder ? movePrefix(client, move) : moveObject(client, move),
      );
    },
  );
}
