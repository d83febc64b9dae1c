/** The commands that change one version: restore, edit, delete. */

import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import {
  DeleteVersionResponseSchema,
  type ObjectVersion,
  ObjectVersionSchema,
  VersionService,
} from '../../client/index.js';
import { callService, failedExitCode, type Surroundings } from '../call.js';
import { canAsk, confirm } from '../confirm.js';
import { wholeNumber } from '../connection.js';
import { notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { print } from '../output.js';
import { jsonDocument, jsonResource } from '../pages.js';
import { escapeText } from '../scan/names.js';

interface RevisionOptions extends ObjectOptions {
  readonly ifRevision?: bigint;
}

const revision = (text: string): bigint => BigInt(wholeNumber(1, Number.MAX_SAFE_INTEGER)(text));

/** Adds what every change of one version takes; `of` is whose revision it may be held to. */
function withVersion(command: Command, of: 'object' | 'version'): Command {
  return command
    .argument('<key>', "the object's key", notEmpty)
    .argument('<version>', 'as `stowage versions KEY` has it', notEmpty)
    .option('--if-revision <revision>', `only if the ${of} still has this revision`, revision);
}

const heldTo = ({ ifRevision }: RevisionOptions) =>
  ifRevision === undefined ? {} : { ifRevision };

function versionOf({ version }: { readonly version?: ObjectVersion | undefined }): ObjectVersion {
  if (version === undefined) throw new Error('the server answered without the version');
  return version;
}

/** Makes the sub-command. */
export function restoreCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('restore')
    .description('make an old one the latest again')
    .option('--comment <text>', 'what to say of the new one')
    .addHelpText(
      'after',
      '\nIt comes back as a new version that names it; a deleted object lives again.',
    );
  return withObjectOptions(withVersion(command, 'object'), defaults).action(
    async (
      objectKey: string,
      versionId: string,
      options: RevisionOptions & { readonly comment?: string },
    ) => {
      const { project, json, comment = '' } = options;
      const caller = { name: 'version', options, defaults, shell };
      await callService(VersionService, caller, async (client) => {
        const request = { project, requestId: randomUUID(), objectKey, versionId, comment };
        const made = versionOf(await client.restoreVersion({ ...request, ...heldTo(options) }));
        const names = [objectKey, made.versionId, made.restoredFrom].map(escapeText);
        const line = `${names[0]} is at ${names[1]}, restored from ${names[2]}\n`;
        await print(shell.stdout, json ? jsonResource(ObjectVersionSchema, made) : line);
      });
    },
  );
}

type Tags = Readonly<Record<string, string>>;

function addTag(text: string, before: Tags): Tags {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('must be like reviewed=true.');
  }
  return { ...before, [name]: value };
}

const addName = (text: string, before: readonly string[]) => [...before, notEmpty(text)];

interface EditOptions extends RevisionOptions {
  readonly comment?: string;
  readonly tag: Tags;
  readonly untag: readonly string[];
}

/** Makes the sub-command. */
export function editCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('edit')
    .description('change comment and tags')
    .option('--comment <text>', 'what to say of it; an empty text takes it away')
    .option('--tag <name=value>', 'set a tag; may be given several times', addTag, {})
    .option('--untag <name>', 'take a tag away; may be given several times', addName, []);
  return withObjectOptions(withVersion(command, 'version'), defaults).action(
    async (objectKey: string, versionId: string, options: EditOptions) => {
      const { project, json, comment, tag: tags, untag } = options;
      const changed = [...new Set([...Object.keys(tags), ...untag])].map((name) => `tags.${name}`);
      const paths = [...(comment === undefined ? [] : ['comment']), ...changed];
      if (paths.length === 0) command.error('error: nothing is to change: see --help');
      const both = untag.find((name) => Object.hasOwn(tags, name));
      if (both !== undefined) command.error(`error: ${both} is set and taken away at once`);
      const caller = { name: 'version', options, defaults, shell };
      await callService(VersionService, caller, async (client) => {
        const version = { objectKey, versionId, comment: comment ?? '', tags };
        const request = { project, requestId: randomUUID(), version, updateMask: { paths } };
        const made = versionOf(await client.updateVersion({ ...request, ...heldTo(options) }));
        const line = `${escapeText(made.versionId)} is at revision ${made.revision}\n`;
        await print(shell.stdout, json ? jsonResource(ObjectVersionSchema, made) : line);
      });
    },
  );
}

interface DeleteOptions extends RevisionOptions {
  readonly yes: boolean;
}

/** Makes the sub-command. */
export function deleteCommand({ defaults, shell }: Surroundings): Command {
  const command = new Command('delete')
    .description('delete a version for good')
    .option('-y, --yes', 'delete without being asked', false)
    .addHelpText(
      'after',
      '\nWhere it was the latest, the newest of those left is the latest again.',
    );
  return withObjectOptions(withVersion(command, 'object'), defaults).action(
    async (objectKey: string, versionId: string, options: DeleteOptions) => {
      const { project, json, yes } = options;
      if (!yes && !canAsk(shell)) {
        command.error('error: it cannot be undone: add --yes where nobody can be asked');
      }
      const [key, id] = [objectKey, versionId].map(escapeText);
      const question = `Delete version ${id} of ${key} in project ${project} for good?`;
      if (!yes && !(await confirm(shell, question))) {
        shell.stderr.write('Nothing is deleted.\n');
        shell.exitCode = failedExitCode;
        return;
      }
      const caller = { name: 'version', options, defaults, shell };
      await callService(VersionService, caller, async (client) => {
        const request = { project, requestId: randomUUID(), objectKey, versionId };
        const answer = await client.deleteVersion({ ...request, ...heldTo(options) });
        const line = `${id} is deleted; the latest of ${key} is ${escapeText(answer.versionId)}\n`;
        const document = () => jsonDocument(DeleteVersionResponseSchema, answer);
        await print(shell.stdout, json ? document() : line);
      });
    },
  );
}
