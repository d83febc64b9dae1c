/** The statement on settings that may be a risk. */

import { statement } from '../../postgres/statement.js';

/** One setting as the node has it for others than this session. */
export interface SettingRow {
  readonly name: string;
  /** In the setting's own unit. */
  readonly setting: string;
  /** For people, with a unit of its choice. */
  readonly value: string;
  readonly needs_restart: boolean;
  readonly is_primary: boolean;
  readonly slots: number;
}

/**
 * Settings by name. What this session was opened with says nothing of others, and is left out, as
 * is what the login may not see; what its transaction has set is told as it was before. Parameter:
 * the names.
 */
export const readSettings = statement<SettingRow>({
  name: 'admin-settings',
  intent: 'read',
  text: `
    select s.name, s.reset_val as setting,
      case when s.setting = s.reset_val then current_setting(s.name)
        else concat_ws(' ', s.reset_val, s.unit) end as value,
      s.context in ('postmaster', 'internal') as needs_restart,
      not pg_is_in_recovery() as is_primary,
      (select count(*)::int4 from pg_replication_slots) as slots
    from pg_settings s
    where s.name = any ($1::text[]) and s.source not in ('client', 'interactive')
      and s.reset_val is not null
    order by s.name`,
});
