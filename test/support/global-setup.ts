/**
 * Starts the cluster that the test files of a run share, and stops it after the last. vitest runs
 * this once for each project that names it, all in one process, so the projects count themselves
 * in and out of one cluster.
 */
import type { TestProject } from 'vitest/node';
import {
  describeCluster,
  removeAbandonedClusters,
  startTestCluster,
  type TestCluster,
} from './cluster.js';
import { createTemplate } from './database.js';

interface Shared {
  readonly started: Promise<TestCluster>;
  users: number;
}

// Each project loads this module afresh, so what they share hangs on the global object.
const registry = globalThis as typeof globalThis & { stowageSharedCluster?: Shared };

/** Hands the cluster's addresses to the tests of `project`; vitest calls the answer at the end. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  registry.stowageSharedCluster ??= { started: startFirst(), users: 0 };
  const shared = registry.stowageSharedCluster;
  shared.users += 1;
  project.provide('cluster', describeCluster((await shared.started).cluster));
  return async () => {
    shared.users -= 1;
    if (shared.users === 0) {
      delete registry.stowageSharedCluster;
      await (await shared.started).stop();
    }
  };
}

async function startFirst(): Promise<TestCluster> {
  await removeAbandonedClusters();
  const started = await startTestCluster({ standbys: 2 });
  await createTemplate(started.cluster.superuserUrl());
  return started;
}
