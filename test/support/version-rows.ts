/** What works on versions, for every door and client: see every-rpc.test.ts. */

import { expect } from 'vitest';
import { DifferenceKind, type Stowage } from '../../src/client/index.js';

/** A project of its own with some objects, by a client of one door. */
interface Ground {
  readonly stowage: Stowage;
  readonly project: string;
}

const objectKey = 'docs/c.pdf';

/** Records a version of the object as its latest. */
async function record({ stowage, project }: Ground, versionId: string) {
  const version = { objectKey, versionId, size: 8n, etag: 'new', isLatest: true };
  return stowage.versions.recordVersion({ project, version });
}

/** A call of each RPC. */
export const versionRows = {
  async recordVersion(ground: Ground) {
    const answer = await record(ground, 'версия-2');
    expect(answer).toMatchObject({ created: true, version: { versionId: 'версия-2', size: 8n } });
    expect(answer.token).not.toBe('');
  },
  async getVersion(ground: Ground) {
    await record(ground, 'v2');
    const answer = await ground.stowage.versions.getVersion({ project: ground.project, objectKey });
    expect(answer.version).toMatchObject({ versionId: 'v2', isLatest: true });
  },
  async listVersions(ground: Ground) {
    await record(ground, 'v2');
    const { project, stowage } = ground;
    const { versions } = await stowage.versions.listVersions({ project, objectKey });
    expect(versions.map(({ isLatest, etag }) => [isLatest, etag])).toEqual([
      [true, 'new'],
      [false, 'another'],
    ]);
  },
  async updateVersion(ground: Ground) {
    await record(ground, 'v2');
    const answer = await ground.stowage.versions.updateVersion({
      project: ground.project,
      version: { objectKey, versionId: 'v2', tags: { geprüft: 'ja' } },
      updateMask: { paths: ['tags'] },
    });
    expect(answer.version).toMatchObject({ tags: { geprüft: 'ja' }, revision: 2n });
  },
  async restoreVersion(ground: Ground) {
    const { project, stowage } = ground;
    const { version } = await stowage.versions.getVersion({ project, objectKey });
    await record(ground, 'v2');
    const versionId = version?.versionId ?? '';
    const answer = await stowage.versions.restoreVersion({ project, objectKey, versionId });
    expect(answer.version).toMatchObject({ etag: 'another', restoredFrom: versionId });
  },
  async deleteVersion(ground: Ground) {
    await record(ground, 'v2');
    await record(ground, 'v3');
    const request = { project: ground.project, objectKey, versionId: 'v3' };
    expect((await ground.stowage.versions.deleteVersion(request)).versionId).toBe('v2');
  },
  async diffVersions(ground: Ground) {
    await record(ground, 'v2');
    await record(ground, 'v3');
    const request = { project: ground.project, objectKey, versionId: 'v2' };
    const { differences } = await ground.stowage.versions.diffVersions(request);
    expect(differences).toMatchObject([{ path: 'last_modified', kind: DifferenceKind.CHANGED }]);
  },
  async pruneVersions(ground: Ground) {
    await record(ground, 'v2');
    const request = { project: ground.project, prefix: 'docs/', keepNewest: 1 };
    const answer = await ground.stowage.versions.pruneVersions(request);
    expect(answer).toMatchObject({ versions: 1n, objects: 1n, bytes: 7n, more: false });
  },
};
