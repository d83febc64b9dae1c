/** Who replicates from whom, how far behind, and what slots keep. */

import type { GetReplicationStatusResponse, ReplicationLink } from '../../client/index.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { formatBytes, formatMs } from '../scan/format.js';
import type { Column } from '../table.js';
import {
  filledColumns,
  hiddenNote,
  pageOf,
  remarkLines,
  type Shown,
  silentNotes,
  type View,
} from './view.js';

type Bytes = 'sendLagBytes' | 'flushLagBytes' | 'replayLagBytes' | 'slotRetainedBytes';

const bytesColumn = (title: string, field: Bytes): Column<ReplicationLink> => ({
  title,
  cell: ({ [field]: bytes }) => (bytes === undefined ? '' : formatBytes(bytes)),
  align: 'right',
});

const columns: NamedColumns<ReplicationLink> = [
  { title: 'NODE', cell: ({ node }) => node },
  { title: 'RECEIVER', cell: ({ receiver }) => receiver || 'nobody' },
  { title: 'ADDRESS', cell: ({ address }) => address },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'SYNC', cell: ({ syncState }) => syncState },
  bytesColumn('UNSENT', 'sendLagBytes'),
  bytesColumn('UNFLUSHED', 'flushLagBytes'),
  bytesColumn('BEHIND', 'replayLagBytes'),
  {
    title: 'LAG',
    cell: ({ replayLagMs }) => (replayLagMs === undefined ? '' : formatMs(replayLagMs)),
    align: 'right',
  },
  { title: 'SLOT', cell: ({ slot }) => slot },
  bytesColumn('KEPT', 'slotRetainedBytes'),
];

const leastFirst = ['ADDRESS', 'UNSENT', 'UNFLUSHED', 'SYNC', 'STATE', 'SLOT', 'LAG'];

/** What is wrong with a slot. */
function remarksOn(link: ReplicationLink): string[] {
  const { node, slot, receiver, slotWalStatus, slotRetainedBytes } = link;
  if (slot === '') return [];
  const name = `slot ${slot} of ${node}`;
  if (slotWalStatus === 'lost') {
    return [`${name} has lost log that its receiver needs: build the receiver anew.`];
  }
  if (slotWalStatus === 'unreserved') {
    return [`${name} is about to lose log that its receiver needs: let the receiver catch up.`];
  }
  // One that keeps nothing waits for the day of a promotion.
  if (receiver !== '' || !slotRetainedBytes) return [];
  return [
    `${name} keeps ${formatBytes(slotRetainedBytes)} of log for nobody: start its receiver, or ` +
      `drop it with pg_drop_replication_slot('${slot}').`,
  ];
}

/** What commits wait for, then a line each standby or slot, then slots that need a person. */
export function replicationShown(
  { links, synchronousStandbyNames, silentNodes }: GetReplicationStatusResponse,
  view: View,
): Shown {
  const wait = synchronousStandbyNames === '' ? 'no standby' : synchronousStandbyNames;
  const { width } = view;
  const table =
    links.length === 0
      ? []
      : fittedLines(filledColumns(columns, links), links, { width, leastFirst });
  const none = links.length === 0 ? ['Nobody replicates from a node that answered.'] : [];
  const isHidden = links.some(({ receiver, state }) => receiver !== '' && state === '');
  const hidden = isHidden ? [hiddenNote('how far receivers are')] : [];
  return {
    text: pageOf(
      remarkLines([`Commits wait for ${wait}.`], view),
      table,
      remarkLines(links.flatMap(remarksOn), view),
    ),
    notes: [...none, ...hidden, ...silentNotes(silentNodes)],
  };
}
