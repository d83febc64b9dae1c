/**
 * Which settings of PostgreSQL put data, secrets or service at risk, and what to set instead. Pure.
 * `stowage doctor` says the same of those that it looks at.
 */

/** What is judged: settings as pg_settings has them, in its units, and what surrounds them. */
export interface RiskFacts {
  readonly isPrimary: boolean;
  /** How many replication slots there are. */
  readonly slots: number;
  /** Those that the node has and the login may see, by name. */
  readonly settings: ReadonlyMap<string, string>;
}

/** One setting that is a risk. */
export interface SettingRisk {
  readonly setting: string;
  /** What may happen, and what to set instead. */
  readonly risk: string;
}

type Judge = (value: string, facts: RiskFacts) => boolean;

interface Rule extends SettingRisk {
  readonly isRisk: Judge;
}

const is =
  (...risky: readonly string[]): Judge =>
  (value) =>
    risky.includes(value);
const atLeast =
  (least: number): Judge =>
  (value) =>
    Number(value) >= least;
const onPrimary =
  (judge: Judge): Judge =>
  (value, facts) =>
    facts.isPrimary && judge(value, facts);
const rule = (setting: string, isRisk: Judge, risk: string): Rule => ({ setting, isRisk, risk });

const LOOPBACK: ReadonlySet<string> = new Set(['', 'localhost', '127.0.0.1', '::1']);

/** Whether other machines can connect. */
const isReachable = ({ settings }: RiskFacts): boolean =>
  (settings.get('listen_addresses') ?? '')
    .split(',')
    .some((address) => !LOOPBACK.has(address.trim()));

/** Whether statements are logged, which they are with their parameters unless that is refused. */
const logsStatements = ({ settings }: RiskFacts): boolean =>
  Number(settings.get('log_min_duration_statement') ?? -1) >= 0 ||
  Number(settings.get('log_min_duration_sample') ?? -1) >= 0 ||
  Number(settings.get('log_transaction_sample_rate') ?? 0) > 0 ||
  ['mod', 'all'].includes(settings.get('log_statement') ?? 'none');

/** What a crash does to data whose server was told to hurry. */
export const crashRisks = {
  fsync: 'When the machine crashes the database may be destroyed.',
  full_page_writes: 'Unless the file system never tears a page, a crash may destroy data.',
  synchronous_commit:
    'The service raises it to local for its own writes, for a token must not name what a crash ' +
    'takes back; what others commit may be lost.',
} as const;

/** The worst first: what destroys data, what loses or gives it away, what stops the service. */
const rules: readonly Rule[] = [
  rule('fsync', is('off'), `${crashRisks.fsync} Set it to on.`),
  rule('full_page_writes', is('off'), `${crashRisks.full_page_writes} Set it to on.`),
  rule(
    'zero_damaged_pages',
    is('on'),
    'A page that is damaged is emptied instead of reported: its rows are gone. Set it to off.',
  ),
  rule(
    'ignore_checksum_failure',
    is('on'),
    'A page that is damaged is read as if it were not, and spreads. Set it to off.',
  ),
  rule(
    'ignore_system_indexes',
    is('on'),
    'Catalogs are read from end to end: it is for repairs only. Set it to off.',
  ),
  rule('synchronous_commit', is('off'), `${crashRisks.synchronous_commit} Set it to on.`),
  rule(
    'wal_level',
    is('minimal'),
    'No standby and no backup can be made of the running server. Set it to replica.',
  ),
  rule('max_wal_senders', is('0'), 'No standby can connect. Set it to 10 or more.'),
  rule(
    'default_transaction_read_only',
    onPrimary(is('on')),
    'Migrations and other programs cannot write. Make room where the disk is nearly full. Set it ' +
      'to off.',
  ),
  rule(
    'autovacuum',
    onPrimary(is('off')),
    'Dead rows are never taken away: tables grow, and in the end PostgreSQL refuses writes to ' +
      'save itself from running out of transaction ids. Set it to on.',
  ),
  rule(
    'track_counts',
    onPrimary(is('off')),
    'Autovacuum does not know what to vacuum, and does nothing. Set it to on.',
  ),
  rule(
    'max_slot_wal_keep_size',
    (value, { slots }) => value === '-1' && slots > 0,
    'A standby that stays away makes its slot keep all WAL until the disk is full, and writes ' +
      'stop. Set it to what the disk can spare.',
  ),
  rule(
    'ssl',
    (value, facts) => value === 'off' && isReachable(facts),
    'Data travels readable to other machines. Set it to on, with ssl_cert_file and ssl_key_file.',
  ),
  rule(
    'password_encryption',
    is('md5'),
    'Passwords are kept in a form that can be guessed and replayed. Set it to scram-sha-256, ' +
      'then set each password anew.',
  ),
  rule(
    'log_parameter_max_length',
    (value, facts) => value !== '0' && logsStatements(facts),
    'Logged statements have the values of their parameters, which may be secret: metadata, ' +
      'names. Set it to 0.',
  ),
  rule(
    'log_parameter_max_length_on_error',
    (value) => value !== '0',
    'Statements that fail are logged with the values of their parameters, which may be secret. ' +
      'Set it to 0.',
  ),
  rule(
    'idle_in_transaction_session_timeout',
    is('0'),
    'A program that forgets to end its transaction keeps its locks for ever, and all dead rows. ' +
      'Set it to some minutes.',
  ),
  rule(
    'hot_standby_feedback',
    is('on'),
    'A long query on a standby keeps dead rows on the primary, for every table. The service ' +
      'repeats reads elsewhere instead. Set it to off.',
  ),
  rule(
    'vacuum_defer_cleanup_age',
    onPrimary(atLeast(1)),
    'Dead rows stay for so many transactions, and it may corrupt data up to PostgreSQL 15.2. ' +
      'Set it to 0.',
  ),
  rule(
    'old_snapshot_threshold',
    atLeast(0),
    'Long queries fail, and reading is slower; PostgreSQL 17 has removed it. Set it to -1.',
  ),
  rule('track_activities', is('off'), 'Nobody can see what sessions do. Set it to on.'),
  rule(
    'data_checksums',
    is('off'),
    'A disk that damages pages is not noticed. Stop the server and run pg_checksums --enable.',
  ),
];

/** Everything that the rules look at. */
export const judgedSettings: readonly string[] = [
  ...rules.map(({ setting }) => setting),
  'listen_addresses',
  'log_min_duration_statement',
  'log_min_duration_sample',
  'log_statement',
  'log_transaction_sample_rate',
];

/** The settings that are a risk, the worst first. */
export function settingRisks(facts: RiskFacts): SettingRisk[] {
  return rules
    .filter(({ setting, isRisk }) => {
      const value = facts.settings.get(setting);
      return value !== undefined && isRisk(value, facts);
    })
    .map(({ setting, risk }) => ({ setting, risk }));
}
