/**
 * Where tests keep the data of their clusters: in memory where there is room, for with fsync off a
 * third of a cluster's time goes into the file system.
 */
import { accessSync, constants, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const MEMORY = '/dev/shm';

/** Some clusters at once, each with the write-ahead log of three nodes. */
const BYTES_FREE_MIN = 8 * 1024 ** 3;

/** The folder that temporary folders of clusters are made in. */
export function quickFolder(): string {
  try {
    accessSync(MEMORY, constants.W_OK);
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize >= BYTES_FREE_MIN) return MEMORY;
  } catch {
    // There is none: not every system has it, and containers have little of it.
  }
  return tmpdir();
}
