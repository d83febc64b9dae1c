/** What reads the audit trail, for every door and client: see every-rpc.test.ts. */

import { expect } from 'vitest';
import type { Stowage } from '../../src/client/index.js';

/** A project of its own in which objects were recorded, by a client of one door. */
interface Ground {
  readonly stowage: Stowage;
  readonly project: string;
}

const event = { action: 'DOWNLOAD', userId: 'åsa', metadata: { bytes: 5 } };

/** A call of each of its RPCs. */
export const auditReadRows = {
  async listEvents({ stowage, project }: Ground) {
    const filter = { keyPrefix: 'docs/' };
    const { events } = await stowage.audit.listEvents({ project, filter, pageSize: 2 });
    expect(events).toMatchObject([
      { objectKey: 'docs/a/отчёт.pdf' },
      { objectKey: 'docs/b/invoice.pdf' },
    ]);
  },
  async getUserActivity({ stowage, project }: Ground) {
    await stowage.audit.appendEvent({ project, event });
    const answer = await stowage.audit.getUserActivity({ project, userId: event.userId });
    expect(answer).toMatchObject({ actions: [{ action: 'DOWNLOAD' }], events: 1n, bytes: 5 });
  },
  async listObjectTrail({ stowage, project }: Ground) {
    const objectKey = 'docs/c.pdf';
    const { entries } = await stowage.audit.listObjectTrail({ project, objectKey });
    expect(entries.map(({ entry }) => entry.case)).toEqual(['event', 'version', 'change']);
  },
};
