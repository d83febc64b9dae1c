/** A command of `stowage admin` that asks once and prints the answer, for a person or as JSON. */

import { type DescMessage, type DescService, type MessageShape, toJson } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import type { CallError, Client } from '../../client/index.js';
import type { Reason } from '../../errors.js';
import { type Caller, callService, type Surroundings } from '../call.js';
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

/** Calls a service for one of the commands. */
export function callFor<Service extends DescService>(
  service: Service,
  { options, defaults, shell, ...own }: Omit<Caller, 'name'>,
  act: (client: Client<Service>) => Promise<void>,
): Promise<void> {
  return callService(service, { name: 'admin', explain, options, defaults, shell, ...own }, act);
}

/** Where an answer is printed, and how. */
export interface Printing {
  readonly shell: Shell;
  readonly json: boolean;
}

/** Prints an answer as JSON, or as it is shown. */
export async function printAnswer<Schema extends DescMessage>(
  { shell, json }: Printing,
  answer: { readonly schema: Schema; readonly message: MessageShape<Schema> },
  show: (view: View) => Shown,
): Promise<void> {
  if (json) {
    // Figures that are 0 or false too: a program that asks for one finds it.
    const whole = toJson(answer.schema, answer.message, { alwaysEmitImplicit: true });
    await print(shell.stdout, `${jsonText(whole, 2)}\n`);
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
    await callFor(service, { options, defaults, shell }, async (client) => {
      const message = await ask(client, options);
      const { json } = options;
      await printAnswer({ shell, json }, { schema, message }, (view) =>
        show(message, view, options),
      );
      judge?.(message, shell);
    });
  });
}
