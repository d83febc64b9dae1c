/** What manages hooks and lists their executions, at every door: see every-rpc.test.ts. */

import { expect } from 'vitest';
import type { Stowage } from '../../src/client/index.js';

/** A project of its own, by a client of one door. */
interface Ground {
  readonly stowage: Stowage;
  readonly project: string;
}

const hook = {
  hookName: 'erp_sync',
  eventTypes: ['object.*'],
  target: 'https://erp.example/hooks',
  description: 'Größe',
};

const make = ({ stowage, project }: Ground) => stowage.hooks.createHook({ project, hook });

/** Two executions, one of which failed. */
async function log({ stowage, project }: Ground): Promise<void> {
  const execution = { hookName: 'erp_sync', eventType: 'DOCUMENT_ARCHIVED', executionTime: 0.342 };
  const executions = [execution, { ...execution, success: false, errorMessage: 'HTTP 500' }];
  await stowage.hooks.logExecutions({ project, executions });
}

/** A call of each RPC that manages hooks or reads executions page by page. */
export const hookRows = {
  async createHook(ground: Ground) {
    const answer = await make(ground);
    expect(answer.hook).toMatchObject({ ...hook, revision: 1n, hasSecret: false });
    expect(answer.token).not.toBe('');
  },
  async getHook(ground: Ground) {
    await make(ground);
    const { stowage, project } = ground;
    const answer = await stowage.hooks.getHook({ project, hookName: 'erp_sync' });
    expect(answer.hook).toMatchObject(hook);
  },
  async listHooks(ground: Ground) {
    await make(ground);
    const { hooks } = await ground.stowage.hooks.listHooks({ project: ground.project });
    expect(hooks.map(({ hookName }) => hookName)).toEqual(['erp_sync']);
  },
  async updateHook(ground: Ground) {
    await make(ground);
    const { stowage, project } = ground;
    const disabled = { ...hook, disabled: true };
    const updateMask = { paths: ['disabled'] };
    const answer = await stowage.hooks.updateHook({ project, hook: disabled, updateMask });
    expect(answer.hook).toMatchObject({ ...disabled, revision: 2n });
  },
  async deleteHook(ground: Ground) {
    await make(ground);
    const { stowage, project } = ground;
    const answer = await stowage.hooks.deleteHook({ project, hookName: 'erp_sync' });
    expect(answer.deleted).toBe(true);
  },
  async listExecutions(ground: Ground) {
    await log(ground);
    const { stowage, project } = ground;
    const answer = await stowage.hooks.listExecutions({ project, filter: { success: false } });
    expect(answer.executions.map(({ errorMessage }) => errorMessage)).toEqual(['HTTP 500']);
  },
  async getHookStatistics(ground: Ground) {
    await log(ground);
    const answer = await ground.stowage.hooks.getHookStatistics({ project: ground.project });
    expect(answer.statistics).toMatchObject([
      { hookName: 'erp_sync', totalExecutions: 2n, failed: 1n, p99ExecutionTime: 0.342 },
    ]);
  },
};
