/** What every command does that calls a server: connect, act, and say why it failed. */

import type { DescService } from '@bufbuild/protobuf';
import { type CallError, type Client, createClient, toStowageError } from '../client/index.js';
import {
  type ClientDefaults,
  type ConnectionOptions,
  connect,
  describeFailure,
} from './connection.js';
import type { Shell } from './output.js';

/** Who calls: the command's name, what it was given, and where it prints. */
export interface Caller {
  /** As it stands in front of a failure, behind `stowage`. */
  readonly name: string;
  readonly options: ConnectionOptions;
  readonly defaults: ClientDefaults;
  readonly shell: Shell;
  /** What to say below the sentence of a failure, each a line. It may be nothing. */
  readonly explain?: (error: CallError) => readonly string[];
}

/** Where commands come from and print to. */
export type Surroundings = Pick<Caller, 'defaults' | 'shell'>;

/** A read of a command sees what was written before it: so people expect it of a command line. */
export const strong = { demand: { case: 'strong', value: true } } as const;

/** Work that failed; 2 is for a wrong command line. */
export const failedExitCode = 1;

/** A call that may take long; the service ends none later than after 300 s. */
export const longCall = { timeoutMs: 300_000 } as const;

/**
 * Acts with a client of the service. A failure is one sentence with its reason on standard error,
 * and exit code 1 where the work has set none itself.
 */
export async function callService<Service extends DescService>(
  service: Service,
  caller: Caller,
  act: (client: Client<Service>) => Promise<void>,
): Promise<void> {
  const { name, options, defaults, shell } = caller;
  const transport = connect(options, defaults);
  try {
    await act(createClient(service, transport));
  } catch (thrown) {
    const error = toStowageError(thrown);
    const sentence = `stowage ${name}: ${describeFailure(error, options.server)}`;
    const lines = [sentence, ...(caller.explain?.(error) ?? [])];
    shell.stderr.write(lines.map((line) => `${line}\n`).join(''));
    shell.exitCode ||= failedExitCode;
  } finally {
    transport.close();
  }
}
