/** Settings of the nodes that put data, secrets or service at risk. */

import { create } from '@bufbuild/protobuf';
import {
  type GetRiskySettingsResponse,
  GetRiskySettingsResponseSchema,
} from '../../../gen/stowage/v1/admin_report_pb.js';
import type { Call } from '../../postgres/call.js';
import { judgedSettings, settingRisks } from '../../postgres/diagnosis/setting-risks.js';
import type { ClusterStore } from '../store.js';
import { askNode, askNodes, type ClusterAnswer } from './nodes.js';
import { readSettings, type SettingRow } from './settings.sql.js';
import type { NodeQuestion } from './tables.js';

/**
 * Risks of one node, or of all that answer: the worst first, each node's in the order of nodes.
 * @throws StowageError as `askNode` where one is named, else as `askNodes`.
 */
export async function riskySettings(
  store: ClusterStore,
  call: Call,
  { node }: NodeQuestion,
): Promise<GetRiskySettingsResponse> {
  const params = [judgedSettings];
  const asked: ClusterAnswer<SettingRow> =
    node === ''
      ? await askNodes(store, call, readSettings, params)
      : { answers: [await askNode(store, call, node, readSettings, params)], silent: [] };
  const settings = asked.answers.flatMap(({ node: name, rows }) =>
    risksOf(rows).map((risk) => ({ node: name, ...risk })),
  );
  const place = ({ setting }: { setting: string }) => judgedSettings.indexOf(setting);
  return create(GetRiskySettingsResponseSchema, {
    settings: settings.sort((left, right) => place(left) - place(right)),
    silentNodes: [...asked.silent],
  });
}

function risksOf(rows: readonly SettingRow[]) {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const risks = settingRisks({
    isPrimary: rows.some((row) => row.is_primary),
    slots: rows[0]?.slots ?? 0,
    settings: new Map(rows.map(({ name, setting }) => [name, setting])),
  });
  return risks.map((risk) => ({
    ...risk,
    value: byName.get(risk.setting)?.value ?? '',
    needsRestart: byName.get(risk.setting)?.needs_restart ?? false,
  }));
}
