/** What operators ask of the nodes: to drain one, to undrain it, to go on with a timeline. */

import { randomUUID } from 'node:crypto';
import {
  type Client,
  type ClusterService,
  FenceReason,
  type Node,
  NodeState,
  type Topology,
} from '../../client/index.js';
import { failedExitCode } from '../call.js';
import { confirm } from '../confirm.js';
import { print, type Shell } from '../output.js';
import { escapeText } from '../scan/names.js';
import { topologyText } from './view.js';

type ClusterClient = Client<typeof ClusterService>;

/** Drains a node, and says when that holds. */
export async function drain(client: ClusterClient, node: string, shell: Shell): Promise<void> {
  await client.drainNode({ node, requestId: randomUUID() });
  const { topology } = await client.getTopology({});
  const name = escapeText(node);
  const sentence =
    topology?.primary === node
      ? `${name} is the primary: it takes what only a primary can, and is drained as a standby`
      : `${name} takes no new calls: running ones go on`;
  await print(shell.stdout, `${sentence}\n`);
}

/** Lets a node take calls again, known or not. */
export async function undrain(client: ClusterClient, node: string, shell: Shell): Promise<void> {
  await client.undrainNode({ node, requestId: randomUUID() });
  await print(shell.stdout, `${escapeText(node)} may take calls\n`);
}

/** Whether the node says of itself that it takes writes, wanted or not. */
function takesWrites({ state, fenceReason }: Node): boolean {
  return (
    state === NodeState.PRIMARY ||
    fenceReason === FenceReason.FORMER_PRIMARY ||
    fenceReason === FenceReason.SPLIT_BRAIN
  );
}

/** What is given up for another timeline; of a primary that is up it is said so. */
function givenUp(timeline: number, { timeline: present, primary }: Topology): string {
  const isKnown = present > 0 && present !== timeline;
  const lost = isKnown ? `Timeline ${present}` : 'Every newer timeline';
  const sentence = `${lost} is given up with what was written on it.`;
  if (primary === '' || !isKnown) return sentence;
  const name = escapeText(primary);
  return `${name} is up, and the primary of timeline ${present}: it is given up. ${sentence}`;
}

/**
 * What a person is to know before other timelines are given up, higher and lower ones, for a lower
 * one may have been accepted before. Undefined where nothing is: it is the primary's.
 */
function question(timeline: number, topology: Topology): string | undefined {
  const { timeline: present, canWrite, nodes } = topology;
  if (canWrite && timeline === present) return undefined;
  const names = nodes
    .filter((node) => node.timeline === timeline && takesWrites(node))
    .map(({ name }) => escapeText(name));
  const where = names.length === 0 ? 'no node takes writes on it' : names.join(', ');
  return `${givenUp(timeline, topology)} Go on with ${timeline} (${where})?`;
}

/** Goes on with a timeline, where the person wants that; gives the exit code. */
export async function accept(
  client: ClusterClient,
  timeline: number,
  { isSure, shell }: { readonly isSure: boolean; readonly shell: Shell },
): Promise<number> {
  const { topology: before } = isSure ? {} : await client.getTopology({});
  const asked = before && question(timeline, before);
  if (asked !== undefined && !(await confirm(shell, asked))) {
    shell.stderr.write('Nothing is changed.\n');
    return failedExitCode;
  }
  const { topology } = await client.acceptTimeline({ timeline });
  if (topology !== undefined) await print(shell.stdout, topologyText(topology));
  return 0;
}
