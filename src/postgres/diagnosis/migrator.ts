/**
 * The migrator's side: can STOWAGE_ADMIN_URL do its work, and what does an administrator see of the
 * service's login that the service itself is not told?
 */

import type { AdminLogin, PostgresSettings } from '../../config.js';
import { isPooled, type NodeAddress } from '../driver.js';
import { contactNode } from './contact.js';
import { addressVerdict, tlsVerdict } from './contact-verdict.js';
import { readLogin, readMigrator, readServer } from './facts.sql.js';
import { addressOf, type Finding, fail, noAnswers, ok, skipped, sqlName } from './finding.js';
import { type AdminView, loginVerdict } from './login-verdict.js';
import { Session } from './session.js';

/** What came of it. */
export interface MigratorOutcome {
  readonly finding: Finding;
  /** Undefined where nobody could be asked. */
  readonly view: AdminView | undefined;
}

/** The check `migrator`. Never throws. */
export async function examineMigrator(
  admin: AdminLogin | undefined,
  service: PostgresSettings,
): Promise<MigratorOutcome> {
  if (admin === undefined) {
    const say = isPooled(service)
      ? ['Behind a pooler migrating needs it, with the addresses of the nodes themselves.']
      : [];
    const finding = skipped('migrator', 'STOWAGE_ADMIN_URL is not set', ...say);
    return { finding, view: undefined };
  }
  let view: AdminView | undefined;
  let trouble: Finding | undefined;
  for (const node of admin.nodes) {
    const outcome = await askNode(admin, service, node);
    view ??= outcome.view;
    if (outcome.finding?.verdict === 'ok') return { finding: outcome.finding, view };
    trouble ??= outcome.finding;
  }
  const noPrimary = fail(
    'migrator',
    'STOWAGE_ADMIN_URL names standbys only',
    'Name the primary in it too: nobody else can change the schema.',
  );
  return { finding: trouble === undefined ? noPrimary : { ...trouble, check: 'migrator' }, view };
}

interface NodeOutcome {
  /** Undefined: a standby, which says nothing. */
  readonly finding: Finding | undefined;
  readonly view?: AdminView | undefined;
}

async function askNode(
  admin: AdminLogin,
  service: PostgresSettings,
  node: NodeAddress,
): Promise<NodeOutcome> {
  const contact = await contactNode(node, admin.connectTimeoutMs);
  if (contact.kind !== 'answered') return { finding: addressVerdict(node, contact, admin) };
  const tls = tlsVerdict(node, admin.tls, contact.offersTls);
  if (tls?.verdict === 'fail') return { finding: tls };
  const { passwordSource, ...login } = admin;
  let session: Session;
  try {
    session = await Session.open({ ...service, ...login, pooler: 'none' }, node);
  } catch (error) {
    const attempt = { ...contact, purpose: 'migrator', node, login, passwordSource } as const;
    return { finding: loginVerdict(error, { ...attempt, admin: undefined }) };
  }
  try {
    const { in_recovery: isStandby, pid } = await session.askOne(readServer);
    if (pid !== session.processId) return { finding: throughPooler(node) };
    const view = await readView(session, service);
    return { finding: isStandby ? undefined : await judge(session, admin), view };
  } catch (error) {
    return { finding: noAnswers(error) };
  } finally {
    await session.close();
  }
}

function throughPooler(node: NodeAddress): Finding {
  return fail(
    'migrator',
    `a pooler answers at ${addressOf(node)}, and migrating needs a session that it keeps`,
    'Name the nodes themselves in STOWAGE_ADMIN_URL.',
  );
}

async function readView(session: Session, service: PostgresSettings): Promise<AdminView> {
  const row = await session.askOne(readLogin, [service.user]);
  return {
    hasRole: row.has_role,
    mayLogin: row.may_login ?? false,
    isExpired: row.is_expired ?? false,
  };
}

const GROUPS = 3;

async function judge(session: Session, { user, database }: AdminLogin): Promise<Finding> {
  const facts = await session.askOne(readMigrator);
  const role = sqlName(user);
  if (facts.owner !== null && facts.is_owner !== true) {
    return fail(
      'migrator',
      `${user} does not own the schema, ${facts.owner} does`,
      `Write ${facts.owner} and its password into STOWAGE_ADMIN_URL, or make ${user} its member:`,
      `grant ${sqlName(facts.owner)} to ${role};`,
    );
  }
  if (facts.owner === null && !facts.may_create) {
    return fail(
      'migrator',
      `${user} may not make tables in ${database}`,
      'Make it the owner of the database, as an administrator:',
      `alter database ${sqlName(database)} owner to ${role};`,
    );
  }
  if (facts.groups < GROUPS && !facts.may_make_roles) {
    return fail(
      'migrator',
      `${user} may not make the groups that migrating needs`,
      'Let it, as an administrator:',
      `alter role ${role} createrole;`,
    );
  }
  const does = facts.owner === null ? 'can make the schema' : 'owns the schema';
  return ok('migrator', `${user} ${does}`);
}
