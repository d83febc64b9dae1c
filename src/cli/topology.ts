/** `stowage topology`: shows the database nodes behind a running server, and steers them. */

import { toJson } from '@bufbuild/protobuf';
import { Command } from 'commander';
import {
  type CallError,
  type Client,
  ClusterService,
  GetTopologyResponseSchema,
} from '../client/index.js';
import { callService, type Surroundings } from './call.js';
import { canAsk } from './confirm.js';
import {
  type ClientDefaults,
  type ConnectionOptions,
  wholeNumber,
  withConnectionOptions,
} from './connection.js';
import { notEmpty } from './options.js';
import { jsonText, print, type Shell } from './output.js';
import { accept, drain, undrain } from './topology/steer.js';
import { topologyText } from './topology/view.js';
import { watchTopology } from './topology/watch.js';

type ClusterClient = Client<typeof ClusterService>;

interface WatchOptions extends ConnectionOptions {
  readonly once: boolean;
  readonly json: boolean;
}

interface AcceptOptions extends ConnectionOptions {
  readonly yes: boolean;
}

const timelineMax = 2 ** 31 - 1;

/**
 * The options of a sub-command: `--server` counts before its name, too. What is for a watch would
 * be taken in silence, and is refused.
 */
function optionsOf<Options extends ConnectionOptions>(called: Command): Options {
  const isGiven = (name: string) => called.parent?.getOptionValueSource(name) === 'cli';
  const wrong = ['once', 'json'].find(isGiven);
  if (wrong !== undefined) {
    called.error(`error: --${wrong} is for the watch, not for ${called.name()}`);
  }
  return called.optsWithGlobals<Options>();
}

/** Where to see what can be named, for who has named nothing that is there. */
function explain({ reason }: CallError): readonly string[] {
  const isUnknown = reason === 'NODE_NOT_FOUND' || reason === 'TIMELINE_NOT_FOUND';
  return isUnknown ? ['`stowage topology --once` shows the nodes and their timelines.'] : [];
}

async function printOnce(client: ClusterClient, isJson: boolean, shell: Shell): Promise<void> {
  const answer = await client.getTopology({});
  const { topology } = answer;
  if (topology === undefined) throw new Error('the server answered without the topology');
  const json = () => `${jsonText(toJson(GetTopologyResponseSchema, answer))}\n`;
  await print(shell.stdout, isJson ? json() : topologyText(topology));
}

/** A sub-command on one node. */
function nodeCommand(
  name: string,
  act: (client: ClusterClient, node: string, shell: Shell) => Promise<void>,
  { defaults, shell }: Surroundings,
): Command {
  const command = new Command(name).argument('<node>', 'its name, host:port', notEmpty);
  return command.action(async (node: string, _options: ConnectionOptions, called: Command) => {
    const caller = { name: 'topology', options: optionsOf(called), defaults, shell, explain };
    await callService(ClusterService, caller, (client) => act(client, node, shell));
  });
}

function acceptCommand({ defaults, shell }: Surroundings): Command {
  return new Command('accept')
    .description('go on with a lower timeline than was seen, and give up the higher one')
    .argument('<timeline>', 'as a node that takes writes has it', wholeNumber(1, timelineMax))
    .option('-y, --yes', 'without being asked', false)
    .action(async (timeline: number, _options: AcceptOptions, called: Command) => {
      const options = optionsOf<AcceptOptions>(called);
      if (!options.yes && !canAsk(shell)) {
        called.error('error: accept gives up writes: add --yes where nobody can be asked');
      }
      const caller = { name: 'topology', options, defaults, shell, explain };
      await callService(ClusterService, caller, async (client) => {
        shell.exitCode = await accept(client, timeline, { isSure: options.yes, shell });
      });
    });
}

const help = `
On a terminal the nodes are drawn in place until Ctrl-C; elsewhere one table,
then a line a transition. CALLS and STREAMS are connections: those that calls
have, those that are open, and calls that wait for one. With --json each message
is a line.`;

/** The command; `defaults` come from the environment. */
export function topologyCommand(defaults: ClientDefaults, shell: Shell = process): Command {
  const surroundings = { defaults, shell };
  const subcommands = [
    nodeCommand('drain', drain, surroundings).description('keep new calls away from a node'),
    nodeCommand('undrain', undrain, surroundings).description('let a node take calls again'),
    acceptCommand(surroundings),
  ];
  const command = new Command('topology')
    .description('watch the database nodes; drain one; accept a timeline')
    .option('--once', 'show them once', false)
    .option('--json', 'print JSON, for programs', false)
    .addHelpText('after', help)
    .action(async (options: WatchOptions) => {
      const { server, json, once } = options;
      const caller = { name: 'topology', options, defaults, shell };
      await callService(ClusterService, caller, (client) =>
        once ? printOnce(client, json, shell) : watchTopology({ client, server, json, shell }),
      );
    });
  for (const each of subcommands) command.addCommand(withConnectionOptions(each, defaults));
  return withConnectionOptions(command, defaults);
}
