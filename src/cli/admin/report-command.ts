/** A command of `stowage admin` that asks once and prints the answer, for a person or as JSON. */

import { type DescMessage, type DescService, type MessageShape, toJson } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import type { CallError, Client } from '../../client/index.js';
import type { Reason } from '../../errors.js';
import { callService, type Surroundings } from '../call.js';
import { broken } from '../fit.js';
import { type OutputOptions, withOutputOptions } from '../options.js';
import { jsonText, print, type Shell, widthOf } from '../output.js';
import { escapeText } from '../scan/names.js';
import { type Shown, type View, viewOf } from './view.js';

/** What is asked of which service, and how its answer is shown. */
export interface Report<
  Service extends DescService,
  Schema extends DescMessage,
  Options extends OutputOptions,
> {
  readonly service: Service;
  readonly schema: Schema;
  readonly ask: (client: Client<Service>, options: Options) => Promise<MessageShape<Schema>>;
  readonly show: (answer: MessageShape<Schema>, view: View, options: Options) => Shown;
  /** Told of what was printed; it may set an exit code. */
  readonly judge?: (answer: MessageShape<Schema>, shell: Shell) => void;
}

const advice: Partial<Record<Reason, string>> = {
  NODE_NOT_FOUND: '`stowage topology --once` shows the nodes.',
  MAINTENANCE_RUNNING: '`stowage admin jobs` shows it, `stowage admin cancel JOB` ends it.',
  MAINTENANCE_JOB_NOT_FOUND: '`stowage admin jobs` shows those that the server knows.',
};

/** Where to see what can be named, or what is in the way. */
export function explain({ reason }: CallError): readonly string[] {
  const sentence = reason === undefined ? undefined : advice[reason];
  return sentence === undefined ? [] : [sentence];
}

/** Prints an answer as JSON, or as it is shown. */
export async function printAnswer<Schema extends DescMessage>(
  shell: Shell,
  answer: { readonly schema: Schema; readonly message: MessageShape<Schema> },
  show: ((view: View) => Shown) | undefined,
): Promise<void> {
  if (show === undefined) {
    await print(shell.stdout, `${jsonText(toJson(answer.schema, answer.message), 2)}\n`);
    return;
  }
  const { text, notes = [] } = show(viewOf(shell.stdout));
  await print(shell.stdout, text);
  const width = widthOf(shell.stderr);
  const lines = notes.flatMap((note) => broken(escapeText(note), width));
  await print(shell.stderr, lines.map((line) => `${line}\n`).join(''));
}

/** Gives the command its options and what it does; it takes no arguments. */
export function reportCommand<
  Service extends DescService,
  Schema extends DescMessage,
  Options extends OutputOptions,
>(
  command: Command,
  { service, schema, ask, show, judge }: Report<Service, Schema, Options>,
  { defaults, shell }: Surroundings,
): Command {
  return withOutputOptions(command, defaults).action(async (options: Options) => {
    const caller = { name: 'admin', options, defaults, shell, explain };
    await callService(service, caller, async (client) => {
      const message = await ask(client, options);
      const shown = options.json ? undefined : (view: View) => show(message, view, options);
      await printAnswer(shell, { schema, message }, shown);
      judge?.(message, shell);
    });
  });
}
