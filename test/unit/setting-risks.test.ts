// Which settings are a risk: each by its own value, some by what surrounds them.
import { describe, expect, it } from 'vitest';
import {
  judgedSettings,
  type RiskFacts,
  settingRisks,
} from '../../src/postgres/diagnosis/setting-risks.js';

/** PostgreSQL as it is recommended: nothing of it is a risk. */
const sound = {
  fsync: 'on',
  full_page_writes: 'on',
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
  ignore_system_indexes: 'off',
  synchronous_commit: 'on',
  wal_level: 'replica',
  max_wal_senders: '10',
  default_transaction_read_only: 'off',
  autovacuum: 'on',
  track_counts: 'on',
  max_slot_wal_keep_size: '1024',
  ssl: 'on',
  listen_addresses: '*',
  password_encryption: 'scram-sha-256',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_min_duration_statement: '1000',
  log_min_duration_sample: '-1',
  log_statement: 'none',
  log_transaction_sample_rate: '0',
  idle_in_transaction_session_timeout: '60000',
  hot_standby_feedback: 'off',
  vacuum_defer_cleanup_age: '0',
  old_snapshot_threshold: '-1',
  track_activities: 'on',
  data_checksums: 'on',
};

const risksOf = (changed: Partial<typeof sound>, facts: Partial<RiskFacts> = {}) =>
  settingRisks({
    isPrimary: true,
    slots: 1,
    settings: new Map(Object.entries({ ...sound, ...changed })),
    ...facts,
  }).map(({ setting }) => setting);

describe('the risks of settings', () => {
  it('are none where all is as recommended, or nothing is known', () => {
    expect(Object.keys(sound).sort()).toEqual([...judgedSettings].sort());
    expect(risksOf({})).toEqual([]);
    expect(settingRisks({ isPrimary: true, slots: 1, settings: new Map() })).toEqual([]);
  });

  it.each(
    Object.entries({
      fsync: 'off',
      full_page_writes: 'off',
      zero_damaged_pages: 'on',
      ignore_checksum_failure: 'on',
      ignore_system_indexes: 'on',
      synchronous_commit: 'off',
      wal_level: 'minimal',
      max_wal_senders: '0',
      default_transaction_read_only: 'on',
      autovacuum: 'off',
      track_counts: 'off',
      max_slot_wal_keep_size: '-1',
      ssl: 'off',
      password_encryption: 'md5',
      log_parameter_max_length: '-1',
      log_parameter_max_length_on_error: '-1',
      idle_in_transaction_session_timeout: '0',
      hot_standby_feedback: 'on',
      vacuum_defer_cleanup_age: '1',
      old_snapshot_threshold: '0',
      track_activities: 'off',
      data_checksums: 'off',
    }),
  )('tell of %s at %s, and what to set instead', (setting, value) => {
    expect(risksOf({ [setting]: value })).toEqual([setting]);
    const settings = new Map([...Object.entries(sound), [setting, value] as const]);
    const [found] = settingRisks({ isPrimary: true, slots: 1, settings });
    expect(found?.risk).toMatch(/Set it to|run pg_checksums/);
  });

  it('come the worst first', () => {
    const changed = { data_checksums: 'off', wal_level: 'minimal', fsync: 'off' };
    expect(risksOf(changed)).toEqual(['fsync', 'wal_level', 'data_checksums']);
  });

  it('are none on a standby for what only a primary does', () => {
    const changed = {
      autovacuum: 'off',
      track_counts: 'off',
      default_transaction_read_only: 'on',
      vacuum_defer_cleanup_age: '9',
    };
    expect(risksOf(changed, { isPrimary: false })).toEqual([]);
  });

  it('are none of an endless slot where there is no slot', () => {
    expect(risksOf({ max_slot_wal_keep_size: '-1' }, { slots: 0 })).toEqual([]);
  });

  it.each([
    ['localhost', []],
    ['127.0.0.1, ::1', []],
    ['', []],
    ['localhost, 10.0.0.1', ['ssl']],
    ['*', ['ssl']],
  ])('tell of plain text where the server listens on "%s": %o', (addresses, risks) => {
    expect(risksOf({ ssl: 'off', listen_addresses: addresses })).toEqual(risks);
  });

  it.each([
    [{}, []],
    [{ log_min_duration_statement: '0' }, ['log_parameter_max_length']],
    [{ log_min_duration_sample: '100' }, ['log_parameter_max_length']],
    [{ log_statement: 'mod' }, ['log_parameter_max_length']],
    [{ log_statement: 'ddl' }, []],
    [{ log_transaction_sample_rate: '0.1' }, ['log_parameter_max_length']],
  ])('tell of logged parameters where statements are logged by %o: %o', (logged, risks) => {
    const changed = { log_parameter_max_length: '-1', log_min_duration_statement: '-1', ...logged };
    expect(risksOf(changed)).toEqual(risks);
  });
});
