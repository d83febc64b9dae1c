/** The checks of one node, in order: what needs a failed one is skipped, and says so. */

import type { PostgresSettings } from '../../config.js';
import { isPooled, type NodeAddress } from '../driver.js';
import { connectionRoomVerdict } from './connections-verdict.js';
import { contactNode } from './contact.js';
import { addressVerdict, tlsVerdict } from './contact-verdict.js';
import { collationVerdict, ctypeVerdict, encodingVerdict } from './database-verdicts.js';
import { dataFolder, diskVerdict, readRoom, slotsVerdict } from './disk.js';
import { type NodeFacts, readFacts } from './facts.js';
import { readServer } from './facts.sql.js';
import { type Finding, noAnswers, ok, skipped } from './finding.js';
import { type AdminView, loginVerdict } from './login-verdict.js';
import { poolerVerdict } from './pooler-verdict.js';
import {
  extensionVerdict,
  roleVerdict,
  schemaVerdict,
  versionVerdict,
} from './program-verdicts.js';
import { clockVerdict, durabilityVerdict, writesVerdict } from './server-verdicts.js';
import { Session } from './session.js';

/** What the checks of a node need. */
export interface NodeCheck {
  readonly node: NodeAddress;
  readonly settings: PostgresSettings;
  /** The setting that the password came from; undefined: there was none. */
  readonly passwordSource: string | undefined;
  /** The program's migrations. */
  readonly migrations: readonly string[];
  /** What an administrator sees; asked only after a login that failed. */
  readonly admin: Promise<AdminView | undefined>;
}

/** A node with what was found, and the session if there is one: who asked closes it. */
export interface ExaminedNode {
  readonly node: NodeAddress;
  readonly findings: readonly Finding[];
  readonly facts?: NodeFacts;
  readonly session?: Session;
}

const afterVersion = [
  'role',
  'schema',
  'encoding',
  'ctype',
  'collation',
  'extension',
  'connections',
  'durability',
  'clock',
  'disk',
] as const;

const afterLogin = ['version', ...afterVersion] as const;

/** Runs the checks; bounded by the connect timeout and 5 s an answer. Never throws. */
export async function examineNode(check: NodeCheck): Promise<ExaminedNode> {
  const { node, settings } = check;
  const contact = await contactNode(node, settings.connectTimeoutMs);
  const findings = [addressVerdict(node, contact, settings)];
  if (contact.kind !== 'answered') return skipRest(node, findings, ['tls', 'login', ...afterLogin]);
  const tls = tlsVerdict(node, settings.tls, contact.offersTls);
  if (tls !== undefined) findings.push(tls);
  if (tls?.verdict === 'fail') return skipRest(node, findings, ['login', ...afterLogin]);
  let session: Session;
  try {
    session = await Session.open(settings, node);
  } catch (error) {
    const { passwordSource } = check;
    const admin = await check.admin;
    const attempt = { ...contact, purpose: 'service', node, login: settings } as const;
    findings.push(loginVerdict(error, { ...attempt, passwordSource, admin }));
    return skipRest(node, findings, afterLogin);
  }
  if (tls === undefined) findings.push(tlsOk(settings.tls));
  findings.push(ok('login', `${settings.user} is in the database ${settings.database}`));
  try {
    const server = await session.askOne(readServer);
    const version = versionVerdict({ ...server, versionNumber: server.version_number });
    // An older server would refuse the other questions, which says less.
    if (version.verdict === 'fail') {
      await session.close();
      return skipRest(node, [...findings, version], afterVersion);
    }
    const facts = await readFacts(session, server);
    const pooler = poolerVerdict(node, settings, server.pid !== session.processId);
    if (pooler !== undefined) findings.push(pooler);
    findings.push(version, ...(await judge(check, facts)));
    return { node, findings, facts, session };
  } catch (error) {
    await session.close();
    findings.push(noAnswers(error));
    return skipRest(node, findings, afterLogin);
  }
}

function skipRest(
  node: NodeAddress,
  findings: readonly Finding[],
  checks: readonly string[],
): ExaminedNode {
  const failed = findings.at(-1)?.check ?? 'address';
  const rest = checks.map((check) => skipped(check, `the check ${failed} failed`));
  return { node, findings: [...findings, ...rest] };
}

function tlsOk(tls: PostgresSettings['tls']): Finding {
  const isKnown = tls !== false && tls.rejectUnauthorized;
  return ok('tls', isKnown ? 'encrypted, and the server is known' : 'encrypted');
}

async function judge(check: NodeCheck, facts: NodeFacts): Promise<Finding[]> {
  const { node, settings, migrations } = check;
  const { database } = settings;
  const room = await readRoom(dataFolder(node, facts));
  const ofAll = [
    roleVerdict(facts, settings),
    schemaVerdict(facts, migrations, node, settings),
    encodingVerdict(facts.database, database),
    ctypeVerdict(facts.database, database),
    collationVerdict(facts.database, database),
    extensionVerdict(facts),
    connectionRoomVerdict(roomForConnections(facts), settings, wantedConnections(settings)),
    durabilityVerdict(facts.settings, settings),
    clockVerdict(facts.clock),
    diskVerdict(node, facts, room, settings),
  ];
  if (facts.role === 'standby') return ofAll;
  return [...ofAll, slotsVerdict(facts), writesVerdict(facts.settings, settings)];
}

/** Behind a pooler it is the pooler's settings that say how many. */
function wantedConnections(settings: PostgresSettings): number | undefined {
  return isPooled(settings) ? undefined : settings.connectionsMax;
}

function roomForConnections(facts: NodeFacts): Parameters<typeof connectionRoomVerdict>[0] {
  const number = (name: string): number => Number(facts.settings.get(name)?.setting ?? 0);
  const kept = number('superuser_reserved_connections') + number('reserved_connections');
  return {
    used: facts.connections,
    available: number('max_connections') - kept,
    roleMax: facts.login.connections_max,
    databaseMax: facts.database.connections_max,
  };
}
