/**
 * All that `stowage doctor` finds out about the database: each node by itself, then all together,
 * then the migrator. Reads only, needs no running service, and ends within bounds.
 */

import type { Config } from '../../config.js';
import { readPosition } from '../control.sql.js';
import { parseLsn } from '../lsn.js';
import { readMigrationNames } from '../migration-files.js';
import {
  clusterVerdict,
  type KnownNode,
  primaryVerdict,
  standbysVerdict,
} from './cluster-verdicts.js';
import { timestampMs } from './facts.js';
import { readClock, readReplication } from './facts.sql.js';
import { addressOf, type Finding, skipped } from './finding.js';
import { examineMigrator } from './migrator.js';
import { type ExaminedNode, examineNode } from './node.js';
import { replayVerdict } from './standby-verdict.js';

/** What is diagnosed. */
export type DiagnosedConfig = Pick<Config, 'postgres' | 'passwordSource' | 'admin'>;

/** The findings about one node. */
export interface NodeDiagnosis {
  /** `host:port`. */
  readonly node: string;
  /** Undefined where the node did not tell. */
  readonly role: 'primary' | 'standby' | undefined;
  readonly findings: readonly Finding[];
}

/** The findings about the database. */
export interface Diagnosis {
  readonly nodes: readonly NodeDiagnosis[];
  readonly cluster: readonly Finding[];
  readonly migrator: readonly Finding[];
}

/** Examines every node at the same time. */
export async function diagnose(config: DiagnosedConfig): Promise<Diagnosis> {
  const { postgres, passwordSource } = config;
  const migrations = await readMigrationNames();
  const migrator = examineMigrator(config.admin, postgres);
  const admin = migrator.then(({ view }) => view);
  const examined = await Promise.all(
    postgres.nodes.map((node) =>
      examineNode({ node, settings: postgres, passwordSource, migrations, admin }),
    ),
  );
  try {
    const known = examined.flatMap(({ node, facts }) => (facts ? [{ node, facts }] : []));
    const nodes = await Promise.all(examined.map((each) => withReplay(each, known)));
    const cluster = judgeCluster(known, config);
    return { nodes, cluster, migrator: [(await migrator).finding] };
  } finally {
    await Promise.all(examined.map(async ({ session }) => session?.close()));
  }
}

function judgeCluster(known: readonly KnownNode[], { postgres }: DiagnosedConfig): Finding[] {
  if (known.length === 0) {
    return ['cluster', 'primary', 'standbys'].map((check) =>
      skipped(check, 'no node has told what it is'),
    );
  }
  const configured = postgres.nodes.length;
  return [
    clusterVerdict(known),
    primaryVerdict(known, configured),
    standbysVerdict(known, configured, postgres),
  ];
}

/** The primary was asked before: what a standby lacks of that now, it is behind. */
async function withReplay(
  examined: ExaminedNode,
  known: readonly KnownNode[],
): Promise<NodeDiagnosis> {
  const { facts, findings } = examined;
  const node = addressOf(examined.node);
  const role = facts?.role;
  if (role !== 'standby') return { node, role, findings };
  return { node, role, findings: [...findings, await replayOf(examined, known)] };
}

async function replayOf(
  { session, facts }: ExaminedNode,
  known: readonly KnownNode[],
): Promise<Finding> {
  const primaries = known.filter((each) => each.facts.role === 'primary');
  const primary = primaries.length === 1 ? primaries[0]?.facts : undefined;
  const isSame = primary?.systemIdentifier === facts?.systemIdentifier;
  try {
    if (session === undefined) throw new Error('there is no session');
    const replication = await session.askOne(readReplication);
    const { lsn } = await session.askOne(readPosition);
    const { clock } = await session.askOne(readClock);
    return replayVerdict({
      primaryLsn: isSame ? primary?.lsn : undefined,
      replayedLsn: lsn === null ? undefined : parseLsn(lsn),
      replication,
      nowMs: timestampMs(clock),
    });
  } catch (error) {
    return skipped('replay', error instanceof Error ? error.message : 'no answer');
  }
}
