/** Rows of the table of every RPC: the streams of one moment. */
import { expect } from 'vitest';
import type { Stowage } from '../../src/client/index.js';

/** What a row works with. */
interface Ground {
  readonly stowage: Stowage;
  readonly project: string;
}

async function itemsOf(
  messages: AsyncIterable<{ readonly summary?: { readonly items: bigint } | undefined }>,
): Promise<bigint | undefined> {
  let items: bigint | undefined;
  for await (const { summary } of messages) items = summary?.items;
  return items;
}

export const exportRows = {
  async exportEvents({ stowage, project }: Ground) {
    const filter = { objectKey: 'docs/c.pdf' };
    expect(await itemsOf(stowage.audit.exportEvents({ project, filter }))).toBe(1n);
  },
  async exportExecutions({ stowage, project }: Ground) {
    expect(await itemsOf(stowage.hooks.exportExecutions({ project }))).toBe(0n);
  },
  async streamVersions({ stowage, project }: Ground) {
    const prefix = 'docs/';
    expect(await itemsOf(stowage.versions.streamVersions({ project, prefix }))).toBe(3n);
  },
};
