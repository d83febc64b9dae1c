/** Settings of PostgreSQL that are a risk, each with what may happen. */

import type { GetRiskySettingsResponse, RiskySetting } from '../../client/index.js';
import { broken } from '../fit.js';
import { fittedLines, type NamedColumns } from '../fitted-table.js';
import { escapeText } from '../scan/names.js';
import { namesText, pageOf, type Shown, silentNotes, type View } from './view.js';

const indent = ' '.repeat(4);

/** One setting that several nodes have alike. */
interface Row {
  readonly first: RiskySetting;
  readonly nodes: string[];
}

const columns: NamedColumns<Row> = [
  { title: 'SETTING', cell: ({ first }) => first.setting },
  { title: 'VALUE', cell: ({ first }) => first.value },
  { title: 'CHANGE BY', cell: ({ first }) => (first.needsRestart ? 'restart' : 'reload') },
];

/** In the order of the first of each: the worst first. */
function rowsOf(settings: readonly RiskySetting[]): Row[] {
  const rows = new Map<string, Row>();
  for (const setting of settings) {
    const key = JSON.stringify([setting.setting, setting.value, setting.risk]);
    const row = rows.get(key);
    if (row === undefined) rows.set(key, { first: setting, nodes: [setting.node] });
    else row.nodes.push(setting.node);
  }
  return [...rows.values()];
}

/** The settings; below each the risk, and on which nodes. */
export function settingsShown(
  { settings, silentNodes }: GetRiskySettingsResponse,
  { width }: View,
): Shown {
  const notes = silentNotes(silentNodes);
  if (settings.length === 0) {
    return { text: '', notes: ['No setting of a node that answered is a risk.', ...notes] };
  }
  const below = ({ first, nodes }: Row) =>
    [first.risk, `On ${namesText(nodes)}.`].flatMap((sentence) =>
      broken(escapeText(sentence), width - indent.length).map((line) => `${indent}${line}`),
    );
  const narrowing = { width, shortens: 'never' as const, below };
  return { text: pageOf(fittedLines(columns, rowsOf(settings), narrowing)), notes };
}
