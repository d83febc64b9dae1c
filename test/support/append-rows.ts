/** What appends, for every door and client: see every-rpc.test.ts. */

import { expect } from 'vitest';
import type { Stowage } from '../../src/client/index.js';

/** A project of its own, by a client of one door. */
interface Ground {
  readonly stowage: Stowage;
  readonly project: string;
}

const execution = { hookName: 'thumbnails', eventType: 'object.created', executionTime: 0.125 };

/** A call of each RPC that appends. */
export const appendRows = {
  async appendEvent({ stowage, project }: Ground) {
    const event = { action: 'DOWNLOAD', username: 'Åsa', ipAddress: '10.0.0.1' };
    const answer = await stowage.audit.appendEvent({ project, event });
    expect(answer.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.token).not.toBe('');
  },
  async appendEvents({ stowage, project }: Ground) {
    const events = [{ action: 'DOWNLOAD' }, { action: 'UPLOAD', success: false }];
    const answer = await stowage.audit.appendEvents({ project, events });
    expect(answer).toMatchObject({ appended: 2n, known: 0n });
  },
  async ingestEvents({ stowage, project }: Ground) {
    async function* batches() {
      yield { project, position: '1', events: [{ action: 'DOWNLOAD' }] };
      yield { position: '2', events: [{ action: 'DOWNLOAD' }, { action: 'UPLOAD' }] };
    }
    const acks = [];
    for await (const ack of stowage.audit.ingestEvents(batches())) acks.push(ack);
    expect(acks).toMatchObject([
      { batch: 1n, resumePosition: '1', appended: 1n },
      { batch: 2n, resumePosition: '2', appended: 2n },
    ]);
  },
  async logExecution({ stowage, project }: Ground) {
    const answer = await stowage.hooks.logExecution({ project, execution });
    expect(answer.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.token).not.toBe('');
  },
  async logExecutions({ stowage, project }: Ground) {
    const executions = [execution, { ...execution, success: false, errorMessage: 'HTTP 500' }];
    const answer = await stowage.hooks.logExecutions({ project, executions });
    expect(answer).toMatchObject({ appended: 2n, known: 0n });
  },
};
