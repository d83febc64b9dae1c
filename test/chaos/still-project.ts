/** Fills the project that nobody changes, before the first fault. */

import { ProjectService } from '../../gen/stowage/v1/project_service_pb.js';
import { StorageService } from '../../gen/stowage/v1/storage_service_pb.js';
import type { Rig } from './rig.js';
import { STILL_OBJECTS, STILL_PROJECT } from './streamer.js';

const BATCH = 1_000;
const TIMEOUT_MS = 30_000;

/** Makes the project and its objects; resolves once every standby has them. */
export async function fillStillProject({ callers: [caller], cluster }: Rig): Promise<void> {
  if (caller === undefined) throw new Error('there is no server');
  const options = { timeoutMs: TIMEOUT_MS };
  const project = STILL_PROJECT;
  await caller.unary(ProjectService.method.createProject, { project: { project } }, options);
  for (let first = 0; first < STILL_OBJECTS; first += BATCH) {
    const requests = Array.from({ length: BATCH }, (_, at) => ({
      object: { objectKey: `still-${first + at}`, storageBackend: 'chaos', owner: 'nobody' },
    }));
    const request = { project, requests };
    await caller.unary(StorageService.method.batchRecordObjects, request, options);
  }
  await cluster.waitUntilCaughtUp();
}
