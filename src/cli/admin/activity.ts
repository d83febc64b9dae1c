/** Sessions: what they do, for how long, and who waits for whom. */

import type { GetActivityResponse, SessionActivity } from '../../client/index.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { formatMs, formatPlural } from '../scan/format.js';
import {
  filledColumns,
  hiddenNote,
  moreNotes,
  pageOf,
  type Shown,
  statementLine,
  type View,
} from './view.js';

const indent = ' '.repeat(4);

const columns: NamedColumns<SessionActivity> = [
  { title: 'PID', cell: ({ pid }) => String(pid), align: 'right' },
  { title: 'STATE', cell: ({ state }) => state || 'hidden' },
  {
    title: 'FOR',
    cell: ({ state, statementMs }) => (state === '' ? '' : formatMs(statementMs)),
    align: 'right',
  },
  {
    title: 'TRANSACTION',
    cell: ({ transactionMs }) => (transactionMs === undefined ? '' : formatMs(transactionMs)),
    align: 'right',
  },
  { title: 'SESSION', cell: sessionCell },
];

/** Which program it is, whose, and from where. */
function sessionCell({ application, user, address }: SessionActivity): string {
  return [application, user, address].filter((part) => part !== '').join(', ');
}

/** What it waits for; that an idle session waits for its client says nothing. */
function waitLine({ state, wait, blockedBy }: SessionActivity): string[] {
  if (blockedBy.length > 0) {
    return [`waits for ${blockedBy.join(', ')}${wait === '' ? '' : ` (${wait})`}`];
  }
  return state === 'active' && wait !== '' ? [`waits for ${wait}`] : [];
}

function belowLines(session: SessionActivity): string[] {
  const { blocks, state } = session;
  // The last one of an idle session holds nothing up, and a pool has many of them.
  const statement = state === 'idle' ? '' : session.statement;
  return [
    ...(blocks > 0 ? [`holds up ${formatPlural(blocks, 'session', 'sessions')}`] : []),
    ...waitLine(session),
    ...(statement === '' ? [] : [statement]),
  ].map((line) => `${indent}${statementLine(line)}`);
}

/** The sessions, with their statements below them. */
export function activityShown(
  { node, sessions, total }: GetActivityResponse,
  { width }: View,
  { minDuration }: { readonly minDuration?: number },
): Shown {
  if (sessions.length === 0) {
    const none =
      minDuration === undefined
        ? `No session is open on ${node}.`
        : `Nothing on ${node} has taken ${formatMs(minDuration)}, and nobody waits for another.`;
    return { text: '', notes: [none] };
  }
  const hidden = sessions.filter(({ statement }) => statement === '').length;
  const notes =
    hidden === 0 ? [] : [hiddenNote(`what ${formatPlural(hidden, 'session does', 'sessions do')}`)];
  return {
    text: pageOf(
      fittedLines(filledColumns(columns, sessions), sessions, {
        width,
        shortens: 'never',
        below: belowLines,
      }),
    ),
    notes: [...moreNotes(sessions.length, total), ...notes],
  };
}
