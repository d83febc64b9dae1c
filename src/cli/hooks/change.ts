/** The commands that change hooks: create, update, disable, enable, delete. */

import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@bufbuild/protobuf';
import { Command, Option } from 'commander';
import { type Client, DeleteHookResponseSchema, HookService } from '../../client/index.js';
import { callService, type Surroundings } from '../call.js';
import { wholeNumber } from '../connection.js';
import { jsonObject, notEmpty, type ObjectOptions, withObjectOptions } from '../options.js';
import { print, type Shell } from '../output.js';
import { jsonDocument } from '../pages.js';
import { escapeText } from '../scan/names.js';
import { readSecret } from './secret.js';
import { renderHook } from './show.js';

interface FieldOptions extends ObjectOptions {
  readonly event?: readonly string[];
  readonly prefix?: string;
  readonly filter?: JsonObject;
  readonly target?: string;
  readonly description?: string;
  readonly secretFile?: string;
}

interface RevisionOptions extends ObjectOptions {
  readonly ifRevision?: bigint;
}

const addEvent = (text: string, before: readonly string[] = []) => [...before, notEmpty(text)];

function withFields(command: Command): Command {
  return command
    .argument('<name>', 'letters, digits, dot, dash and underscore; at most 128', notEmpty)
    .option('--event <kind>', 'such as object.* or DOCUMENT_ARCHIVED; several times', addEvent)
    .option('--prefix <prefix>', 'only of keys that begin with this')
    .option('--filter <json>', 'only where the metadata contains this object', jsonObject)
    .option('--target <url>', 'where it is told; without one it asks')
    .option('--description <text>', 'what it is for')
    .option('--secret-file <file>', 'what deliveries are signed with; - reads it', notEmpty);
}

/** The fields that were given, by their names in the API; the secret is read apart. */
function givenFields(options: FieldOptions) {
  const { event: eventTypes, prefix: keyPrefix, filter, target, description } = options;
  return {
    ...(eventTypes === undefined ? {} : { eventTypes: [...eventTypes] }),
    ...(keyPrefix === undefined ? {} : { keyPrefix }),
    ...(filter === undefined ? {} : { metadataFilter: filter }),
    ...(target === undefined ? {} : { target }),
    ...(description === undefined ? {} : { description }),
  };
}

async function givenSecret({ secretFile }: FieldOptions, shell: Shell) {
  return secretFile === undefined ? {} : { secret: await readSecret(secretFile, shell) };
}

const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const revision = (text: string): bigint => BigInt(wholeNumber(1, Number.MAX_SAFE_INTEGER)(text));

function withRevision(command: Command): Command {
  const text = 'only if the hook still has this revision';
  return command.option('--if-revision <revision>', text, revision);
}

const heldTo = ({ ifRevision }: RevisionOptions) =>
  ifRevision === undefined ? {} : { ifRevision };

/** Calls the service and prints what `act` answers. */
async function call(
  options: ObjectOptions,
  { defaults, shell }: Surroundings,
  act: (client: Client<typeof HookService>) => Promise<string>,
): Promise<void> {
  const caller = { name: 'hooks', options, defaults, shell };
  await callService(HookService, caller, async (client) => {
    await print(shell.stdout, await act(client));
  });
}

/** Makes the sub-command. */
export function createCommand(surroundings: Surroundings): Command {
  const { defaults, shell } = surroundings;
  const command = withFields(new Command('create').description('register a hook')).option(
    '--disabled',
    'it is told of nothing until it is enabled',
    false,
  );
  return withObjectOptions(command, defaults).action(
    async (hookName: string, options: FieldOptions & { readonly disabled: boolean }) => {
      const { project, json, disabled } = options;
      if (options.event === undefined) {
        command.error("error: --event says which kinds of events; --event '*' is every kind");
      }
      await call(options, surroundings, async (client) => {
        const secret = await givenSecret(options, shell);
        const hook = { hookName, disabled, ...givenFields(options), ...secret };
        const answer = await client.createHook({ project, requestId: randomUUID(), hook });
        return renderHook(answer.hook, json);
      });
    },
  );
}

type UpdateOptions = FieldOptions & RevisionOptions & { readonly secret: boolean };

/** Makes the sub-command. */
export function updateCommand(surroundings: Surroundings): Command {
  const { defaults, shell } = surroundings;
  const command = withRevision(
    withFields(new Command('update').description('change what is given of a hook')).addOption(
      new Option('--no-secret', 'take the secret away').conflicts('secretFile'),
    ),
  );
  return withObjectOptions(command, defaults).action(
    async (hookName: string, options: UpdateOptions) => {
      const { project, json } = options;
      const fields = givenFields(options);
      const isSecret = options.secretFile !== undefined || !options.secret;
      const paths = [...Object.keys(fields).map(snakeCase), ...(isSecret ? ['secret'] : [])];
      if (paths.length === 0) command.error('error: nothing is to change: see --help');
      await call(options, surroundings, async (client) => {
        const hook = { hookName, ...fields, ...(await givenSecret(options, shell)) };
        const request = { project, requestId: randomUUID(), hook, updateMask: { paths } };
        const answer = await client.updateHook({ ...request, ...heldTo(options) });
        return renderHook(answer.hook, json);
      });
    },
  );
}

/** A sub-command that sets one field. */
function switchCommand(name: string, about: string, disabled: boolean) {
  return (surroundings: Surroundings): Command => {
    const command = withRevision(new Command(name).description(about)).argument(
      '<name>',
      'as `stowage hooks` has it',
      notEmpty,
    );
    return withObjectOptions(command, surroundings.defaults).action(
      async (hookName: string, options: RevisionOptions) => {
        const { project, json } = options;
        await call(options, surroundings, async (client) => {
          const updateMask = { paths: ['disabled'] };
          const hook = { hookName, disabled };
          const request = { project, requestId: randomUUID(), hook, updateMask };
          const answer = await client.updateHook({ ...request, ...heldTo(options) });
          return json
            ? renderHook(answer.hook, true)
            : `${escapeText(hookName)} is ${disabled ? 'disabled' : 'enabled'}\n`;
        });
      },
    );
  };
}

/** Makes the sub-command. */
export const disableCommand = switchCommand('disable', 'tell a hook of nothing from now on', true);

/** Makes the sub-command. */
export const enableCommand = switchCommand('enable', 'tell a hook again', false);

/** Makes the sub-command. */
export function deleteCommand(surroundings: Surroundings): Command {
  const command = withRevision(
    new Command('delete').description('delete a hook and its secret; its executions stay'),
  ).argument('<name>', 'as `stowage hooks` has it', notEmpty);
  return withObjectOptions(command, surroundings.defaults).action(
    async (hookName: string, options: RevisionOptions) => {
      const { project, json } = options;
      await call(options, surroundings, async (client) => {
        const request = { project, requestId: randomUUID(), hookName };
        const answer = await client.deleteHook({ ...request, ...heldTo(options) });
        const document = () => jsonDocument(DeleteHookResponseSchema, answer);
        return json ? document() : `${escapeText(hookName)} is deleted\n`;
      });
    },
  );
}
