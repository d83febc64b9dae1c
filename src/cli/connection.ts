/** The options that every command needs which calls a server, and what comes of them. */

import { type Command, InvalidArgumentError } from 'commander';
import {
  CallError,
  createTransport,
  parseAddress,
  type StowageTransport,
} from '../client/index.js';
import { errorTable } from '../errors.js';
import { escapeText } from './scan/names.js';

/** What the environment says about the server; an option on the command line goes before it. */
export interface ClientDefaults {
  /** The server's address, such as `127.0.0.1:50051`. */
  readonly server: string;
  /** Undefined where the server asks for none. */
  readonly token?: string | undefined;
}

/** The values of the options. */
export interface ConnectionOptions {
  readonly server: string;
  readonly token?: string;
}

function toAddress(text: string): string {
  try {
    parseAddress(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

/** Adds `--server` and `--token`. */
export function withConnectionOptions(command: Command, defaults: ClientDefaults): Command {
  return (
    command
      .option('--server <address>', 'the server, as host:port or URL', toAddress, defaults.server)
      // Without a shown default: a token is a secret.
      .option('--token <token>', 'credentials; other users see it, so rather set STOWAGE_TOKEN')
  );
}

/** Opens the way to the server; who calls closes it. */
export function connect(options: ConnectionOptions, defaults: ClientDefaults): StowageTransport {
  return createTransport({ endpoints: options.server, token: options.token ?? defaults.token });
}

/**
 * Why a call failed, in one sentence with its reason and, where known, what is at fault. It may
 * hold what others wrote, so nothing in it acts on a terminal.
 */
export function describeFailure(error: unknown, server: string): string {
  return escapeText(failureSentence(error, server));
}

function failureSentence(error: unknown, server: string): string {
  if (!(error instanceof CallError)) return error instanceof Error ? error.message : String(error);
  if (error.reason === undefined) {
    return error.retry === 'never' ? error.message : `${server} does not answer: ${error.message}`;
  }
  const fields = error.violations
    .filter(({ field, description }) => error.message !== `${field}: ${description}`)
    .map(({ field, description }) => `${field}: ${description}`);
  const details = [...fields, ...subjectsOf(error)];
  const detail = details.length === 0 ? '' : ` (${details.join('; ')})`;
  const id = errorTable[error.reason].retry === 'never' ? undefined : error.requestId;
  return `${error.reason}: ${error.message}${detail}${id === undefined ? '' : ` [${id}]`}`;
}

const subjects = [
  ...['object_key', 'version_id', 'hook_name', 'prefix', 'project', 'node', 'table', 'index'],
  'partition',
] as const;

/** What the error is about, where its sentence does not name it: in quotes, as sentences do. */
function subjectsOf({ message, metadata }: CallError): readonly string[] {
  return subjects.flatMap((name) => {
    const value = metadata[name] ?? '';
    return value === '' || message.includes(`"${value}"`) ? [] : [`${name}: ${value}`];
  });
}

/** Reads a whole number within bounds, for an option. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}
